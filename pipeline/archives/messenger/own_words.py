"""Sentences that Messenger and Instagram write in people's names: known by their structure, or word for word.

The structure tells in every language: such a sentence begins with the name of who did something ("Ada Quill named the
group Rowers."), and a reaction is also listed with the message that it is to. The words are for the rest: English
whole, and of other languages what is most frequent.
"""

import re
from typing import NamedTuple

_LONGEST = 400
_SHORT = 100
_MOST_SIGNS = 1_000  # with which one person reacts; each is looked for in what they say
_ENDS = (".", "!", "。", "।", "！")
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)

_DID = re.compile(
    r"(?:sent (?:an? |the |\d+ )?(?:attachment|photo|video|sticker|GIF|file|link|location|live location|voice message|"
    r"voice clip|audio clip|poll|post|reel|story|story highlight|message)s?\b.{0,80}"
    r"|(?:called|waved at) .{1,80}|missed .{0,60}?(?:call|chat)\b.{0,80}|wasn't notified about this message.*"
    r"|(?:started|joined|ended|left|declined) (?:an? |the |your )?(?:video |audio |voice |group )*(?:call|chat|room)\b"
    r".{0,60}"
    r"|(?:started|stopped) sharing .{1,60}|named the group .+"
    r"|(?:changed|removed|set|updated) the (?:group|chat)(?: (?:photo|name|description|theme|colors?|emoji))?\b.*"
    r"|(?:changed|set) the (?:theme|chat theme|emoji|quick reaction|chat colors?|default reaction) to .+"
    r"|(?:set|changed|cleared) (?:the |your |his |her |their |its )(?:own )?nickname\b.*"
    r"|(?:created|started|updated|changed|canceled|closed) (?:an? |the )?(?:poll|plan|event|reminder|group)\b.*"
    r"|(?:voted|removed (?:a |the |his |her |their |your )?vote|changed (?:his |her |their |your )?vote) .*\bpoll\b.*"
    r"|added .+ to (?:the )?(?:group|poll|chat|call)\b.*|removed .+ from (?:the )?(?:group|poll|chat|call)\b.*"
    r"|(?:left|joined|created) the (?:group|chat|conversation|community|channel)\b.*|(?:un)?pinned a message.*"
    r"|turned (?:on|off) .+|made .+ (?:an? )?(?:group )?admin.*|removed .+ as (?:an? )?(?:group )?admin.*"
    r"|(?:set|added|removed|changed) .+ word effects?.*|set .+ as the word effect.*"
    r"|reacted .{1,40} to (?:your|an?|the) (?:message|story|photo|video).*|liked an? (?:message|story|photo|video)"
    r"|unsent an? (?:message|photo|video)|shared an? (?:story|post|reel|photo|video|link|profile|event)\b.{0,80}"
    r"|replied to (?:your|their|an?) story.{0,20}|mentioned you in .{1,40} story"
    r"|responded .{1,40} to .+|upgraded the security of this chat|changed (?:his|her|their) (?:number|profile).*"
    r"|is now (?:connected|friends|an? (?:group )?admin)\b.*|can now (?:message|call)\b.*)[.!]?",
    re.DOTALL,
)
"""What follows the name of who is said to have sent it. Nobody writes of themselves so."""

_YOU = re.compile(
    r"You (?:sent (?:an attachment|\d+ photos|an? (?:photo|video|sticker|GIF|voice message|link|file))"
    r"|sent a (?:live )?location"
    r"|missed an? (?:video |audio |voice )?(?:call|chat) (?:from|with) .{1,80}|named the group .+"
    r"|set (?:the nickname for .+|your (?:own )?nickname) to .+|cleared (?:the nickname for .+|your (?:own )?nickname)"
    r"|(?:set|changed) the (?:emoji|quick reaction|theme|chat theme|chat colors?) to .+"
    r"|changed the (?:group|chat) (?:photo|theme|colors?)"
    r"|created (?:a poll: .+|the group)|voted for .+ in the poll|changed your vote to .+ in the poll"
    r"|removed your vote for .+|added .+ to the group|removed .+ from the group|left the group"
    r"|(?:un)?pinned a message|started an? (?:video |audio )?(?:call|chat)"
    r"|turned (?:on|off) (?:disappearing|vanish|member|message|admin|read).*"
    r"|joined the (?:video |audio )?call|reacted .{1,40} to .{1,20} message|unsent a message|waved at .{1,60}"
    r"|set .+ as the word effect.*|started sharing (?:video|your location).*)[.!]",
    re.DOTALL,
)
"""What is said of the owner."""

_MISSED = re.compile(
    r"missed (?:an? |the |your )?(?:video |audio |voice )?(?:call|chat)(?: (?:from|with) .{1,80})?[.!]?"
)
"""What the caller is said to have sent of somebody else."""

_WHOLE = re.compile(
    r"(?:Liked a message|You (?:are|'re) now (?:connected|friends) on (?:Messenger|Facebook)"
    r"|You can now (?:message and )?call each other.*|Say hi to your new .{1,60}|You're friends on Facebook"
    r"|Reacted .{1,40} to your (?:message|story)|(?:Mentioned|Tagged) you in their (?:story|comment|post)"
    r"|Replied to your story|Sent an attachment"
    r"|(?:The|Your|This) (?:video |audio |group |voice )?(?:call|chat|video chat|video call) (?:has )?(?:ended|started)"
    r"|(?:Audio|Video|Voice) (?:call|chat) (?:ended|started)|Missed (?:audio|video|voice) call.{0,60}"
    r"|This poll is no longer available|(?:User|A (?:Messenger|Facebook|Instagram) user|A contact) unsent a message"
    r"|(?:You u|U)nsent a message|This message (?:was unsent|is no longer available|was deleted).{0,60}"
    r"|(?:Message|Content) unavailable"
    r"|Messages are missing\. Restore now|You opened this conversation through .{1,60}"
    r"|Messages and calls are (?:secured|protected) with end-to-end encryption.*"
    # "Liked a message"
    r"|Hat eine Nachricht mit .Gefällt mir. markiert|Gefällt eine Nachricht|(?:A )?aimé un message|J'aime un message"
    r"|(?:Le|Te) (?:ha gustado|gustó) un mensaje|Indicó que le gusta un mensaje|Le gusta un mensaje"
    r"|Curtiu uma mensagem|Gostou de uma mensagem|(?:Ha messo|Hai messo) .?Mi piace.? a un messaggio"
    r"|(?:Vond een bericht leuk|Heeft een bericht leuk gevonden)|(?:Polubił\(a\)|Polubiono|Lubi) wiadomość"
    r"|Gillade ett meddelande|(?:Synes godt om|Likte) en (?:besked|melding)|Tykkäsi viestistä"
    r"|Bir mesajı beğendi|Menyukai (?:sebuah )?pesan|Đã thích một tin nhắn"
    r"|Нравится сообщение|Понравилось сообщение"
    r"|メッセージに「?いいね！」?しました|메시지를 좋아합니다|(?:喜欢|赞)了一条消息|說一則訊息讚|(?:أعجب|أُعجب) ?ب?رسالة"
    # "Reacted … to your message"
    r"|Hat(?: mit)? .{1,12} auf (?:deine|Ihre) Nachricht reagiert"
    r"|A réagi .{1,14} à votre message|A réagi à votre message .{1,20}"
    r"|(?:Reaccionó|Ha reaccionado)(?: con)? .{1,12} a tu mensaje|Reagiu(?: com)? .{1,12} (?:à|a) (?:sua|tua) mensagem"
    r"|Ha reagito (?:con )?.{1,12} al tuo messaggio"
    r"|Heeft (?:met )?.{1,12} (?:op je bericht gereageerd|gereageerd op je bericht)"
    r"|(?:Zareagował\(a\)|Zareagowano) .{1,12} na Twoją wiadomość|Reagerade (?:med )?.{1,12} på ditt meddelande"
    r"|Mesajına .{1,12} (?:ifadesini bıraktı|ifadesiyle tepki verdi)|Menanggapi pesan Anda dengan .{1,12}"
    r"|Đã bày tỏ cảm xúc .{1,12} (?:về|với) tin nhắn của bạn|Реакция .{1,12} на ваше сообщение"
    # "You are now connected on Messenger", "You can now message and call each other …"
    r"|Ihr seid jetzt (?:auf|über|im) Messenger (?:miteinander )?verbunden|Ihr könnt (?:euch )?jetzt .{0,40}anrufen.*"
    r"|Vous êtes (?:maintenant|désormais) (?:connecté|en contact).{0,30} sur Messenger"
    r"|Ahora (?:estás|están|estáis) conectad.{0,30} en Messenger"
    r"|(?:Agora vocês|Você agora) .{0,20}conectad.{0,20} no Messenger"
    r"|(?:Ora|Adesso) (?:siete connessi|sei connesso/a|sei in contatto).{0,30} su Messenger"
    r"|(?:Jullie zijn|Je bent) nu verbonden.{0,20} (?:op|via|in) Messenger|Jesteście teraz połączeni w Messengerze"
    r"|(?:Artık )?Messenger'da (?:artık )?(?:bağlantı kurdunuz|bağlandınız)|Теперь вы можете общаться в Messenger"
    # "You unsent a message"
    r"|(?:Du hast|Sie haben) eine Nachricht zurückgerufen|Vous avez (?:retiré|annulé l'envoi d')\s?un message"
    r"|(?:Anulaste|Eliminaste) (?:el envío de )?un mensaje|Você cancelou o envio de uma mensagem"
    r"|Hai annullato l'invio di un messaggio"
    r"|Je hebt (?:een bericht ingetrokken|het verzenden van een bericht ongedaan gemaakt)"
    r")[.!]?",
    re.DOTALL,
)

_ATTACHED = re.compile(
    r"sent an attachment|(?:hat|hast|haben) einen Anhang (?:gesendet|geschickt)|envoyé une pièce jointe"
    r"|(?:envi(?:ó|aste)|enviado) un (?:archivo )?adjunto|envi(?:ou|aste|ado) um anexo|inviato un allegato"
    r"|een bijlage (?:verzonden|verstuurd|gestuurd)|(?:wysłał|wysłano|przesłał).{0,4} załącznik"
    r"|skicka(?:de|t) en bilaga"
    r"|sendt?e? en vedhæftet fil|sendt?e? et vedlegg|lähet(?:ti|it) liitteen|(?:poslal|odeslal).{0,4} přílohu"
    r"|(?:elküldött egy mellékletet|mellékletet küld)|trimis un ata[șşs]ament"
    r"|bir ek gönderdi|mengirim (?:sebuah )?lampiran"
    r"|đã gửi (?:một )?(?:file|tệp) đính kèm|(?:отправил|вы отправили).{0,6} вложение"
    r"|(?:надіслав|надіслали).{0,5} вкладення"
    r"|στείλατε ένα συνημμένο|έστειλε ένα συνημμένο"
    r"|添付ファイルを送信しました|첨부 ?파일을 보냈습니다|(?:发送|傳送)了(?:一个|一個)?附件"
    r"|(?:أرسل|أرسلت|بإرسال) مرفق|שלח.{0,3} קובץ מצורף|ส่งไฟล์แนบ|अटैचमेंट भेजा",
    re.IGNORECASE,
)

_MESSAGE = re.compile(
    r"messag|nachricht|mensa[jg]|bericht|besked|meddel|melding|viesti|wiadomoś|zpráv|správ|üzenet|mesaj|pesan|tin nhắn"
    r"|сообщен|повідомлен|съобщен|порук|poruk|sporočil|μήν[υύ]μα|メッセージ|메시지|消息|訊息|讯息|رسال|پیام|הודעה|הודעת|ข้อความ|संदेश|मैसेज"
    r"|মেসেজ|বার্তা|செய்தி|stor(?:y|ie)\b|stori[eaé]|ストーリー",
    re.IGNORECASE,
)
"""What a reaction is said to be to, as the app says it in any language."""

_MATTERS = re.compile(
    r"grou?p|grupp|grup|ryhmä|csoport|skupin|ομάδα|групп|груп|グループ|그룹|群|مجموع|גרופ|קבוצה|กลุ่ม|nhóm|समूह|ग्रुप|গ্রুপ"
    r"|konversation|conversa|unterhaltung|gesprek|samtale|konwersacj|бесед|スレッド|대화|聊天"
    r"|spitzname|nickname|surnom|pseudo|apodo|sobrenome|apelido|soprannome|bijnaam|pseudonim|przezwisk|smeknamn|kallenavn"
    r"|kaldenavn|lempinim|takma ad|julukan|biệt danh|псевдоним|никнейм|прізвиськ|ニックネーム|별명|昵称|暱稱"
    r"|emoji|émoji|эмодзи|емодзі|絵文字|이모티콘|表情|thema|thème|tema\b|temat|motyw|teema|тему|テーマ|테마|主题|主題"
    r"|umfrage|sondage|encuesta|enquete|sondaggio|ankiet|peiling|omröstning|afstemning|anket|опрос|投票|アンケート|설문"
    r"|anruf|appel|llamada|chamada|ligação|chiamat|oproep|połączeni|samtal|opkald|puhelu|arama|panggilan|звонок|дзвінок|通話|통화"
    r"|anhang|pièce jointe|adjunto|anexo|allegato|bijlage|załącznik|bilaga|vedhæftet|liit(?:e|teen)|вложени"
    r"|添付|附件|첨부|foto|photo|фото|写真|사진|照片|video|vidéo|видео|動画|동영상|视频"
    r"|standort|position|ubicación|localiza|posizione|locatie",
    re.IGNORECASE,
)
"""What the app's sentences are about, in languages other than English, whose sentences are known."""

MENDED = re.compile(
    r"\s*\((?:edited|bearbeitet|modifi[ée]e?|editad[oa]|modificato|bewerkt|redigeret|redigert|redigerad|muokattu"
    r"|edytowan[oey]|upraveno|szerkesztve|editat|düzenlendi|изменено|отредактировано|ред\.|відредаговано|επεξεργασμένο"
    r"|編集済み|수정됨|已编辑|已編輯|đã chỉnh sửa|(?:telah )?diedit|تم التعديل|نערך|נערך|แก้ไขแล้ว)\)\s*\Z",
    re.IGNORECASE,
)
"""What Instagram puts behind a message that was edited."""


class _Subjects(NamedTuple):
    """Names that begin with the same word, and how long they are."""

    names: set[str]
    lengths: set[int]

    def beginning(self, text: str) -> list[str]:
        """Those with which a text begins, the longest first."""
        lengths = sorted((each for each in self.lengths if each <= len(text)), reverse=True)
        return [begin for each in lengths if (begin := text[:each]) in self.names]


class OwnWords:
    """Tells what people wrote from what the app wrote in their names, in one conversation."""

    def __init__(self) -> None:
        self._subjects: dict[str, _Subjects] = {}
        self._initials = {"Y"}
        self._reacted: dict[str, set[str]] = {}
        self._reacted_at: set[tuple[str, int]] = set()
        self._told_of: dict[str, set[str]] = {}

    def meet(self, name: str) -> None:
        """Somebody is in the conversation, too."""
        if name := name.strip():
            self._meet(name)
            self._meet(name.split()[0])

    def reacted(self, name: str, reaction: str, second: int | None) -> None:
        """A message of the conversation has a reaction of somebody."""
        signs = self._reacted.setdefault(name, set())
        if len(signs) < _MOST_SIGNS:
            signs.add(reaction)
        if second is not None:
            self._reacted_at.add((name, second))

    def began(self, text: str, sender: str) -> None:
        """A message begins with its sender's name: what the app writes so, it writes of several people."""
        if len(text) <= _LONGEST and text.startswith(sender) and _is_sentence(did := text.strip()[len(sender) :]):
            self._told_of.setdefault(did, set()).add(sender)

    def are(self, text: str, sender: str, second: int, *, with_file: bool) -> bool:
        """Whether the app wrote this.

        Args:
            text: not blank.
            with_file: a share, a photo or the like is with it.
        """
        if len(text) > _LONGEST:
            return False
        said = text.strip()
        if _WHOLE.fullmatch(said):
            return True
        if (text[-1] == " " or self._reacted_at) and self._is_reaction(text, said, sender, second):
            return True
        if with_file and len(said) <= _SHORT and _ATTACHED.search(said) and not _LINK.search(said):
            return True
        return said[0] in self._initials and self._is_of_somebody(said, sender, with_file=with_file)

    def _is_of_somebody(self, said: str, sender: str, *, with_file: bool) -> bool:
        first = said.split(maxsplit=1)[0]
        if first == "You":
            return _YOU.fullmatch(said) is not None or self._is_call_by_you(said)
        subjects = self._subjects.get(first.removesuffix("'s").removesuffix("’s"))
        for subject in subjects.beginning(said) if subjects else ():
            did = said[len(subject) :]
            if did[:1].isascii() and did[:1].isalnum():
                continue
            if sender.startswith(subject):
                if _DID.fullmatch(did.strip()) or (with_file and said.endswith(_ENDS) and not _LINK.search(did)):
                    return True
                if subject == sender and " " in sender and _is_sentence(did) and self._is_hinted(did):
                    return True
            elif _MISSED.fullmatch(did.strip()):
                return True
        return False

    def _is_hinted(self, did: str) -> bool:
        """Whether a sentence about its sender is the app's: people, too, write "Ada Quill here, with a new number."."""
        return _MATTERS.search(did) is not None or len(self._told_of.get(did, ())) > 1

    def _is_call_by_you(self, said: str) -> bool:
        called = said.removeprefix("You called ").rstrip(".!")
        subjects = self._subjects.get(called.split(maxsplit=1)[0] if called else "")
        return subjects is not None and called in subjects.names

    def _is_reaction(self, text: str, said: str, sender: str, second: int) -> bool:
        """Whether a reaction that is listed elsewhere is told: at its time, or with its sign, in a blank's company.

        People write signs, blanks and in the second of their reactions, too, so it must also name the message.
        """
        if len(said) > _SHORT or not _MESSAGE.search(said):
            return False
        if (sender, second) in self._reacted_at:
            return True
        if not text.endswith(" ") or " " not in said:
            return False
        return any(reaction in said for reaction in self._reacted.get(sender, ()))

    def _meet(self, subject: str) -> None:
        known = self._subjects.setdefault(subject.split()[0], _Subjects(set(), set()))
        known.names.add(subject)
        known.lengths.add(len(subject))
        self._initials.add(subject[0])


def _is_sentence(did: str) -> bool:
    """Whether a sentence goes on like this, whose subject is somebody's whole name: in any language, up to its end."""
    return did[:1] not in {"", *",:;!?.-–—/()"} and did.endswith(_ENDS) and "\n" not in did and not _LINK.search(did)
