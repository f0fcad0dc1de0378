"""Languages are told of short chat lines together, alone and mixed; where there are too few words, nothing is said."""

import random

import pytest

from pipeline.dataset.languages import SAMPLE, in_words, languages_of

CHATS = {
    "de": "ja klar|bin gleich da|hast du schon gegessen?|nee keine lust heute|lol|wie wars auf der arbeit|voll müde",
    "en": "yeah sure|be there in 5|did u eat yet?|nah not feeling it today|lol|how was work|dunno maybe swimming",
    "es": "si claro|ya voy|ya comiste?|no tengo ganas hoy|jajaja|que tal el trabajo|no se, a lo mejor nadar",
    "fr": "oui bien sur|j'arrive|t'as mangé?|nan pas envie|mdr|c'était comment le boulot|je sais pas peut-être piscine",
    "it": "si certo|arrivo|hai già mangiato?|no oggi non mi va|ahahah|com'è andata al lavoro|boh forse nuoto",
    "pt": "sim claro|já tô indo|já comeu?|não tô afim hoje|kkkkk|como foi o trabalho|sei lá talvez nadar",
    "nl": "ja tuurlijk|ik kom eraan|heb je al gegeten?|nee geen zin vandaag|haha|hoe was het op werk|oke tot straks",
    "pl": "no jasne|zaraz będę|jadłeś już?|nie chce mi się dzisiaj|haha|jak było w pracy|nie wiem może basen",
    "cs": "jasně|hned jsem tam|už jsi jedl?|ne dneska se mi nechce|haha|jak bylo v práci|nevím možná plavat",
    "tr": "evet tabii|hemen geliyorum|yemek yedin mi?|yok bugün canım istemiyor|ahahah|iş nasıldı|çok yorgunum",
    "ru": "да конечно|скоро буду|ты уже ел?|не хочется сегодня|хаха|как на работе|не знаю может плавать",
    "ar": "ايوه طبعا|انا جاي حالا|اكلت ولا لسه؟|لا ماليش مزاج النهارده|ههههه|الشغل كان عامل ايه|تمام اشوفك بعدين",
    "he": "כן ברור|אני כבר מגיע|אכלת כבר?|לא בא לי היום|חחחח|איך היה בעבודה|לא יודע אולי לשחות",
    "hi": "हाँ ज़रूर|बस आ रहा हूँ|खाना खाया?|नहीं आज मन नहीं है|हाहा|काम कैसा रहा|ठीक है बाद में मिलते हैं",
    "zh": "好啊|马上到|你吃了吗|今天不太想|哈哈哈|工作怎么样|周末干嘛|不知道 可能去游泳",
    "ja": "うん、もちろん|すぐ着くよ|もう食べた？|今日はいいや|笑|仕事どうだった|わかんない泳ぎに行くかも",
    "ko": "응 당연하지|금방 갈게|밥 먹었어?|오늘은 별로|ㅋㅋㅋ|일은 어땠어|주말에 뭐해|몰라 수영 갈까",
    "sv": "ja självklart|kommer snart|har du ätit?|nej orkar inte idag|haha|hur var jobbet|vet inte kanske simma",
    "uk": "так звісно|скоро буду|ти вже їв?|не хочеться сьогодні|хаха|як на роботі|що робиш на вихідних",
}


@pytest.mark.parametrize("code", CHATS)
def test_a_language_is_told_of_a_few_chat_lines_and_of_many(code: str) -> None:
    lines = CHATS[code].split("|")
    assert languages_of([*lines, "https://example.com/in/english?words=here", "😂😂", "42"]) == {code: 1.0}
    assert languages_of(lines * 30) == {code: 1.0}


@pytest.mark.parametrize(
    ("first", "second", "times", "said"),
    [
        ("de", "en", 3, "mostly German, a quarter English"),
        ("de", "en", 1, "half German, half English"),
        ("tr", "de", 2, "mostly Turkish, a third German"),
        ("ru", "en", 4, "mostly Russian, a quarter English"),
    ],
)
def test_languages_mixed_line_by_line_are_told_apart(first: str, second: str, times: int, said: str) -> None:
    lines = (CHATS[first].split("|") * times + CHATS[second].split("|")) * 5
    random.Random(1).shuffle(lines)
    assert in_words(languages_of(lines)) == said


def test_conversations_in_two_languages_are_told_apart() -> None:
    told = languages_of(CHATS["fr"].split("|") * 20 + CHATS["es"].split("|") * 10)
    assert list(told) == ["fr", "es"]
    assert sum(told.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", " "],
        ["😂😂😂", "❤️"] * 100,
        ["https://example.com/a/long/english/address/of/a/page"] * 20,
        ["12:30", "42", "+49 170 1234567"] * 50,
        ["[phone] [email]"] * 50,
        ["ok", "lol"],
        ["haha"] * 50,
        ["haan bilkul", "bas aa raha hoon", "khana khaya?", "nahi aaj mann nahi hai", "theek hai"] * 3,
    ],
)
def test_where_nothing_can_be_told_nothing_is(texts: list[str]) -> None:
    assert languages_of(texts) == {}


def test_of_more_than_enough_only_enough_is_read() -> None:
    read = 0

    def endless() -> "object":
        nonlocal read
        while True:
            read += 1
            yield "what are you up to this weekend, anything nice"

    assert languages_of(endless()) == {"en": 1.0}  # type: ignore[arg-type]
    assert read < SAMPLE


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({}, ""),
        ({"en": 1.0}, "English"),
        ({"de": 0.9, "en": 0.1}, "mostly German, a little English"),
        ({"de": 0.78, "en": 0.22}, "mostly German, a quarter English"),
        ({"de": 0.55, "en": 0.45}, "half German, half English"),
        ({"de": 0.44, "en": 0.34, "tr": 0.22}, "nearly half German, a third English, a quarter Turkish"),
    ],
)
def test_shares_are_told_in_words(shares: dict[str, float], said: str) -> None:
    assert in_words(shares) == said
