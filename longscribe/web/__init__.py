"""The web application: programs plug into it, people open it; each job is a run of the flow."""
