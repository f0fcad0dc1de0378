"""What a new model is asked first, in the language of its chats."""

SMALL_TALK: dict[str, tuple[str, str]] = {
    "en": ("What are you up to this weekend?", "Did you see what I sent you?"),
    "ar": ("شو رح تعمل بنهاية الأسبوع؟", "شفت اللي بعتلك ياه؟"),
    "cs": ("Co děláš o víkendu?", "Viděls, co jsem ti poslal?"),
    "da": ("Hvad skal du i weekenden?", "Så du det, jeg sendte dig?"),
    "de": ("Was machst du am Wochenende?", "Hast du gesehen, was ich dir geschickt habe?"),
    "el": ("Τι θα κάνεις το σαββατοκύριακο;", "Είδες αυτό που σου έστειλα;"),
    "es": ("¿Qué haces este finde?", "¿Viste lo que te mandé?"),
    "fi": ("Mitä teet viikonloppuna?", "Näitkö mitä lähetin sulle?"),
    "fr": ("Tu fais quoi ce week-end ?", "Tu as vu ce que je t'ai envoyé ?"),
    "he": ("מה אתה עושה בסוף השבוע?", "ראית מה ששלחתי לך?"),
    "hi": ("इस वीकेंड क्या कर रहे हो?", "जो मैंने भेजा वो देखा?"),
    "hu": ("Mit csinálsz a hétvégén?", "Láttad, amit küldtem?"),
    "id": ("Akhir pekan ini mau ngapain?", "Udah lihat yang aku kirim?"),
    "it": ("Che fai questo weekend?", "Hai visto cosa ti ho mandato?"),
    "ja": ("週末は何するの？", "送ったの見た？"),
    "ko": ("이번 주말에 뭐 해?", "내가 보낸 거 봤어?"),
    "nl": ("Wat doe je dit weekend?", "Heb je gezien wat ik je stuurde?"),
    "no": ("Hva skal du i helga?", "Så du det jeg sendte deg?"),
    "pl": ("Co robisz w weekend?", "Widziałeś, co ci wysłałem?"),
    "pt": ("O que você vai fazer no fim de semana?", "Viu o que eu te mandei?"),
    "ro": ("Ce faci în weekend?", "Ai văzut ce ți-am trimis?"),
    "ru": ("Что делаешь на выходных?", "Видел, что я тебе скинул?"),
    "sv": ("Vad ska du göra i helgen?", "Såg du det jag skickade?"),
    "tr": ("Hafta sonu ne yapıyorsun?", "Sana gönderdiğimi gördün mü?"),
    "uk": ("Що робиш на вихідних?", "Бачив, що я тобі скинув?"),
    "vi": ("Cuối tuần này làm gì thế?", "Xem cái tớ gửi chưa?"),
    "zh": ("周末打算干嘛？", "我发给你的看了吗？"),
}
"""By ISO 639-1 code, as friends write to each other."""


def small_talk(language: str | None) -> tuple[str, str]:
    """Two prompts; English ones where the language is not known or not among these."""
    return SMALL_TALK.get(language or "en", SMALL_TALK["en"])
