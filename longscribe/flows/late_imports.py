"""What a run would import when it first needs it: imported while the server is on its way up."""

# ruff: noqa: F401
import jinja2
import numpy.fft
import prefect.engine
import prefect.flow_engine
import prefect.task_engine
import prefect.utilities.visualization
import safetensors.numpy
