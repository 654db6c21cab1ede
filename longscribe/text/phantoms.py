"""Phrases that Whisper invents where nobody speaks: it was taught with subtitles of videos.

Thanks to viewers, and credits of those who wrote the subtitles. As people reported them, for audio
without speech: https://github.com/openai/whisper/discussions/928,
https://github.com/McCloudS/subgen/issues/21,
https://github.com/openai/whisper/discussions/2015 (Chinese),
https://github.com/amicalhq/amical/issues/71 (Japanese),
https://github.com/Vexa-ai/vexa/issues/617 (Turkish),
https://github.com/PocketShell-io/pocketshell/issues/452 (Korean),
https://github.com/moona3k/macparakeet/issues/222 (Russian). What people say in any recording (thank
you, bye) is not here.
"""

import re
from functools import cache

from longscribe.text.words import letters_of

# Capitals, accents' forms, spaces and punctuation do not count. "..." stands for a name or a year.
_PHRASES: dict[str, tuple[str, ...]] = {
    "ar": ("اشتركوا في القناة", "شكرا للمشاهدة", "شكرا على المشاهدة", "ترجمة نانسي قنقر"),
    "cs": ("Titulky vytvořil JohnyX", "Děkuji za sledování"),
    "da": (
        "Danske tekster af Nicolai Winther",
        "Danske tekster af Jesper Buhl ...",
        "Tak fordi du så med",
    ),
    "de": (
        "Untertitel der Amara.org-Community",
        "Untertitelung aufgrund der Amara.org-Community",
        "Untertitel im Auftrag des ZDF ...",
        "Untertitelung im Auftrag des ZDF ...",
        "Untertitelung des ZDF ...",
        "Untertitel von Stephanie Geiges",
        "Copyright WDR ...",
        "SWR 2020",
        "SWR 2021",
        "Vielen Dank fürs Zuschauen",
        "Vielen Dank fürs Ansehen",
    ),
    "el": ("Υπότιτλοι AUTHORWAVE",),
    "en": (
        "Thanks for watching",
        "Thank you for watching",
        "Thank you so much for watching",
        "Thank you very much for watching",
        "Thanks for watching and I'll see you in the next video",
        "Please subscribe",
        "Please subscribe to my channel",
        "Please subscribe to our channel",
        "Like and subscribe",
        "Don't forget to like and subscribe",
        "Subtitles by the Amara.org community",
        "Subtitles created by the Amara.org community",
        "Subtitles by ...",
        "Transcription by ESO. Translation by ...",
        "Transcription by CastingWords",
    ),
    "es": (
        "Subtítulos realizados por la comunidad de Amara.org",
        "Subtítulos por la comunidad de Amara.org",
        "Subtítulos creados por la comunidad de Amara.org",
        "Subtítulos hechos por la comunidad de Amara.org",
        "Subtítulos en español de Amara.org",
        "Subtitulado por la comunidad de Amara.org",
        "Más información www.alimmenta.com",
        "Gracias por ver el video",
        "Suscríbete al canal",
        "Suscríbete",
    ),
    "fi": ("Kiitos kun katsoit",),
    "fr": (
        "Sous-titrage ST' 501",
        "Sous-titrage Société Radio-Canada",
        "Sous-titrage FR 2021",
        "Sous-titres réalisés par ...",
        "Sous-titres réalisés para la communauté d'Amara.org",
        "Sous-titres réalisés pour la communauté d'Amara.org",
        "Sous-titres par la communauté d'Amara.org",
        "Sous-titres par Amara.org",
        "Sous-titres par l'Amara.org",
        "Sous-titres faits par la communauté d'Amara.org",
        "par SousTitreur.com",
        "Merci d'avoir regardé cette vidéo",
        "Merci d'avoir regardé la vidéo",
        "Abonnez-vous",
    ),
    "gl": ("Subtítulos realizados por la comunidad de Amara.org",),
    "hu": ("Köszönöm, hogy megnézted", "Feliratok az Amara.org közösségétől"),
    "id": ("Terima kasih telah menonton", "Terima kasih sudah menonton"),
    "it": (
        "Sottotitoli creati dalla comunità Amara.org",
        "Sottotitoli e revisione a cura di ...",
        "Sottotitoli a cura di QTSS",
        "Grazie per la visione",
        "Grazie per aver guardato il video",
    ),
    "ja": (
        "ご視聴ありがとうございました",
        "ご視聴いただきありがとうございました",
        "ご清聴ありがとうございました",
        "最後までご視聴いただきありがとうございました",
        "チャンネル登録お願いします",
        "チャンネル登録をお願いいたします",
        "チャンネル登録をよろしくお願いします",
        "次の動画でお会いしましょう",
    ),
    "ko": (
        "시청해 주셔서 감사합니다",
        "구독과 좋아요 부탁드립니다",
        "한글자막 by 한효정",
        "MBC 뉴스 ...",
    ),
    "nl": (
        "Ondertitels ingediend door de Amara.org gemeenschap",
        "Ondertiteld door de Amara.org gemeenschap",
        "Ondertiteling door de Amara.org gemeenschap",
        "TV Gelderland 2021",
        "Bedankt voor het kijken",
    ),
    "no": ("Teksting av Nicolai Winther", "Takk for at du så på", "Takk for at du så med"),
    "pl": (
        "Napisy stworzone przez społeczność Amara.org",
        "Napisy wykonane przez społeczność Amara.org",
        "Zdjęcia i napisy stworzone przez społeczność Amara.org",
        "Tłumaczenie i napisy stworzone przez społeczność Amara.org",
        "Dziękuję za oglądanie",
        "Dziękuję za uwagę i do zobaczenia",
        "www.multi-moto.eu",
    ),
    "pt": (
        "Legendas pela comunidade Amara.org",
        "Legendas pela comunidade de Amara.org",
        "Legendas pela comunidade do Amara.org",
        "Legendas pela comunidade das Amara.org",
        "Transcrição e Legendas pela comunidade de Amara.org",
        "Legenda Adriana Zanotto",
        "Legenda por Sônia Ruberti",
        "Obrigado por assistir",
        "Obrigada por assistir",
        "Obrigado por assistir o vídeo",
        "Inscreva-se no canal",
    ),
    "ro": (
        "Mulțumesc pentru vizionare",
        "Mulțumim pentru vizionare",
        "Să vă mulțumim pentru vizionare",
    ),
    "ru": (
        "Продолжение следует",
        "Субтитры создавал DimaTorzok",
        "Субтитры сделал DimaTorzok",
        "Субтитры добавил DimaTorzok",
        "Субтитры подогнал ...",
        "Субтитры создавал ...",
        "Редактор субтитров ...",
        "Спасибо за просмотр",
        "Подписывайтесь на наш канал",
    ),
    "sv": ("Undertexter från Amara.org-gemenskapen", "Textning.nu", "Svensktextning.nu"),
    "th": ("ขอบคุณที่รับชม", "โปรดติดตามตอนต่อไป"),
    "tr": (
        "Altyazı M.K.",
        "Çeviri ve Altyazı M.K.",
        "Abone olmayı unutmayın",
        "Kanalıma abone olmayı unutmayın",
        "İzlediğiniz için teşekkürler",
        "İzlediğiniz için teşekkür ederim",
    ),
    "uk": ("Дякую за перегляд", "Підписуйтесь на наш канал", "Субтитрувальниця Оля Шор"),
    "vi": (
        "Hãy subscribe cho kênh Ghiền Mì Gõ Để không bỏ lỡ những video hấp dẫn",
        "Hãy subscribe cho kênh La La School Để không bỏ lỡ những video hấp dẫn",
        "Cảm ơn các bạn đã theo dõi và hẹn gặp lại",
    ),
    "zh": (
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目",
        "字幕由Amara.org社区提供",
        "字幕由Amara.org社區提供",
        "小編字幕由Amara.org社區提供",
        "字幕志愿者 ...",
        "字幕by索兰娅",
        "谢谢观看",
        "謝謝觀看",
        "感谢观看",
        "感謝觀看",
    ),
}
_LONGEST_NAME_LETTERS = 40
_ADDRESS = re.compile(r"(?:https?://)?www\.[\w.-]+/?", re.IGNORECASE)


def is_phantom(text: str, language: str) -> bool:
    """Whether a text is nothing but such phrases, an address, or marks without a letter.

    Args:
        text: of a segment.
        language: its code; English ones appear in all.
    """
    letters = letters_of(text)
    if not letters or _ADDRESS.fullmatch(text.strip().rstrip(".!")):
        return True
    return any(_phantoms_in(code).fullmatch(letters) for code in {language, "en"})


@cache
def _phantoms_in(language: str) -> re.Pattern[str]:
    phrases = sorted(_PHRASES.get(language, ()), key=len, reverse=True)
    name = rf"\w{{0,{_LONGEST_NAME_LETTERS}}}"
    alternatives = [
        re.escape(letters_of(phrase)) + (name if phrase.endswith("...") else "")
        for phrase in phrases
    ]
    return re.compile(f"(?:{'|'.join(alternatives)})+" if alternatives else r"(?!)")
