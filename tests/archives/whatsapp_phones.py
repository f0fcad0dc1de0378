"""Phones in many languages: what they write before messages, and what they write themselves."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

NARROW, NBSP = "\u202f", "\u00a0"


class Words(NamedTuple):
    """What a phone writes itself.

    Attributes:
        media: what stands for a file, if none are exported; on iPhones one kind of many.
        attached: what stands with the name of a file that is.
        notice: the first line of each chat.
        founded: a group is made; with {who} and {name}.
        renamed: it gets another name; with {who}, {old} and {name}.
    """

    media: str
    attached: str
    deleted: str
    mine_deleted: str
    edited: str
    place: str
    live: str
    missed: str
    waiting: str
    notice: str
    founded: str
    renamed: str


class Phone(NamedTuple):
    """How a phone exports.

    Attributes:
        header: what stands before the name.
        end: of messages; within them there is "\\n" on iPhones.
    """

    name: str
    header: Callable[[datetime], str]
    words: Words
    end: str = "\n"
    encoding: str = "utf-8"

    @property
    def is_ios(self) -> bool:
        """Iphones write seconds, and marks before their own words."""
        return self.name.startswith("ios")


def _half(time: datetime, am: str, pm: str) -> str:
    return pm if time.hour >= 12 else am


def _h12(time: datetime) -> int:
    return time.hour % 12 or 12


def _digits(text: str, nought: str) -> str:
    return "".join(chr(ord(nought) + int(each)) if "0" <= each <= "9" else each for each in text)


def _jalali(time: datetime) -> str:
    """The Persian date of a day in August or September 2023: Mordad and Shahrivar of 1402."""
    days = (time.date() - datetime(2023, 7, 23).date()).days
    return f"1402/{5 + days // 31}/{days % 31 + 1}"


ENGLISH = Words(
    media="<Media omitted>",
    attached="file attached",
    deleted="This message was deleted",
    mine_deleted="You deleted this message",
    edited="<This message was edited>",
    place="location",
    live="live location shared",
    missed="Missed voice call",
    waiting="Waiting for this message. This may take a while.",
    notice="Messages and calls are end-to-end encrypted. No one outside of this chat can read them: tap to learn more.",
    founded='{who} created group "{name}"',
    renamed='{who} changed the subject from "{old}" to "{name}"',
)
GERMAN = Words(
    media="<Medien ausgeschlossen>",
    attached="Datei angehängt",
    deleted="Diese Nachricht wurde gelöscht.",
    mine_deleted="Du hast diese Nachricht gelöscht.",
    edited="<Diese Nachricht wurde bearbeitet.>",
    place="Standort",
    live="Live-Standort wird geteilt",
    missed="Verpasster Sprachanruf",
    waiting="Warte auf diese Nachricht. Dies kann einen Moment dauern.",
    notice="Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt. Tippe, um mehr zu erfahren.",
    founded="{who} hat die Gruppe „{name}“ erstellt",
    renamed="{who} hat den Betreff von „{old}“ zu „{name}“ geändert.",
)
SPANISH = Words(
    media="<Multimedia omitido>",
    attached="archivo adjunto",
    deleted="Se eliminó este mensaje.",
    mine_deleted="Eliminaste este mensaje.",
    edited="<Se editó este mensaje.>",
    place="ubicación",
    live="ubicación en tiempo real compartida",
    missed="Llamada perdida",
    waiting="Esperando mensaje. Esto puede tomar tiempo.",
    notice="Los mensajes y las llamadas están cifrados de extremo a extremo. Toca para obtener más información.",
    founded='{who} creó el grupo "{name}"',
    renamed='{who} cambió el asunto de "{old}" a "{name}"',
)
FRENCH = Words(
    media="<Médias omis>",
    attached="fichier joint",
    deleted="Ce message a été supprimé",
    mine_deleted="Vous avez supprimé ce message",
    edited="<Ce message a été modifié>",
    place="localisation",
    live="Localisation en direct partagée",
    missed="Appel vocal manqué",
    waiting="En attente de ce message. Ceci pourrait prendre un moment.",
    notice="Les messages et les appels sont chiffrés de bout en bout.",
    founded="{who} a créé le groupe « {name} »",
    renamed="{who} a changé le sujet de « {old} » à « {name} »",
)
PORTUGUESE = Words(
    media="<Mídia oculta>",
    attached="arquivo anexado",
    deleted="Mensagem apagada",
    mine_deleted="Você apagou esta mensagem",
    edited="<Mensagem editada>",
    place="localização",
    live="localização atual compartilhada",
    missed="Chamada de voz perdida",
    waiting="Aguardando mensagem. Essa ação pode levar alguns instantes.",
    notice="As mensagens e as chamadas são protegidas com a criptografia de ponta a ponta.",
    founded='{who} criou o grupo "{name}"',
    renamed='{who} mudou o nome do grupo de "{old}" para "{name}"',
)
ITALIAN = Words(
    media="<Media omessi>",
    attached="file allegato",
    deleted="Questo messaggio è stato eliminato",
    mine_deleted="Hai eliminato questo messaggio",
    edited="<Questo messaggio è stato modificato>",
    place="posizione",
    live="posizione attuale condivisa",
    missed="Chiamata vocale persa",
    waiting="In attesa del messaggio. Potrebbe volerci un po' di tempo.",
    notice="I messaggi e le chiamate sono crittografati end-to-end.",
    founded='{who} ha creato il gruppo "{name}"',
    renamed="{who} ha cambiato l'oggetto da “{old}” a “{name}”",
)
DUTCH = Words(
    media="<Media weggelaten>",
    attached="bestand bijgevoegd",
    deleted="Dit bericht is verwijderd",
    mine_deleted="U hebt dit bericht verwijderd",
    edited="<Dit bericht is bewerkt>",
    place="locatie",
    live="live locatie gedeeld",
    missed="Gemiste spraakoproep",
    waiting="Wachten op dit bericht. Dit kan even duren.",
    notice="Berichten en gesprekken worden end-to-end versleuteld.",
    founded="{who} heeft de groep “{name}” gemaakt",
    renamed="{who} heeft het onderwerp gewijzigd van “{old}” naar “{name}”",
)
TURKISH = Words(
    media="<Medya dahil edilmedi>",
    attached="dosya ekli",
    deleted="Bu mesaj silindi",
    mine_deleted="Bu mesajı sildiniz",
    edited="<Bu mesaj düzenlendi>",
    place="konum",
    live="Mevcut konum paylaşıldı",
    missed="Cevapsız sesli arama",
    waiting="Bu mesaj bekleniyor. Bu biraz zaman alabilir.",
    notice="Mesajlar ve aramalar uçtan uca şifrelidir.",
    founded='{who} "{name}" grubunu oluşturdu',
    renamed='{who} konuyu "{old}" yerine "{name}" olarak değiştirdi',
)
RUSSIAN = Words(
    media="<Без медиафайлов>",
    attached="файл добавлен",
    deleted="Данное сообщение удалено",
    mine_deleted="Вы удалили данное сообщение",
    edited="<Сообщение изменено>",
    place="местоположение",
    live="Геоданные отправлены",
    missed="Пропущенный аудиозвонок",
    waiting="Ожидание данного сообщения. Это может занять некоторое время.",
    notice="Сообщения и звонки защищены сквозным шифрованием.",
    founded="{who} создал(-а) группу «{name}»",
    renamed="{who} изменил(-а) тему с «{old}» на «{name}»",
)
FINNISH = Words(
    media="<Media jätettiin pois>",
    attached="liitetiedosto",
    deleted="Tämä viesti poistettiin",
    mine_deleted="Poistit tämän viestin",
    edited="<Tätä viestiä muokattiin>",
    place="sijainti",
    live="live-sijainti jaettu",
    missed="Vastaamaton äänipuhelu",
    waiting="Odotetaan tätä viestiä. Tässä saattaa kestää hetki.",
    notice="Viestit ja puhelut salataan täysin.",
    founded="{who} loi ryhmän ”{name}”",
    renamed="{who} muutti aiheen ”{old}” aiheeksi ”{name}”",
)
POLISH = Words(
    media="<pominięto multimedia>",
    attached="załączony plik",
    deleted="Ta wiadomość została usunięta",
    mine_deleted="Usunięto tę wiadomość",
    edited="<Ta wiadomość została zedytowana>",
    place="położenie",
    live="udostępniona transmisja położenia",
    missed="Nieodebrane połączenie głosowe",
    waiting="Oczekiwanie na tę wiadomość. To może chwilę potrwać.",
    notice="Wiadomości i połączenia są w pełni zaszyfrowane.",
    founded="{who} utworzył(a) grupę „{name}”",
    renamed="{who} zmienił(a) temat z „{old}” na „{name}”",
)
JAPANESE = Words(
    media="<メディアは含まれていません>",
    attached="添付ファイル有り",
    deleted="このメッセージは削除されました",
    mine_deleted="このメッセージを削除しました",
    edited="<このメッセージは編集されました>",
    place="位置情報",
    live="ライブロケーション共有",
    missed="音声通話不在着信",
    waiting="このメッセージを待っています。これには時間がかかることがあります。",
    notice="メッセージと通話はエンドツーエンド暗号化されています。",
    founded="{who}がグループ「{name}」を作成しました",
    renamed="{who}が件名を「{old}」から「{name}」に変更しました",
)
KOREAN = Words(
    media="<미디어 파일을 생략한 대화내용>",
    attached="파일 첨부됨",
    deleted="이 메시지는 삭제되었습니다",
    mine_deleted="삭제한 메시지입니다",
    edited="<이 메시지는 편집되었습니다>",
    place="위치",
    live="공유한 실시간 위치",
    missed="부재중 전화",
    waiting="메시지 암호화 대기중입니다. 다소 시간이 소요될 수 있습니다.",
    notice="메시지 및 전화는 종단간 암호화되어 안전합니다.",
    founded="{who}님이 ‘{name}’ 그룹을 만들었습니다",
    renamed="{who}님이 제목을 “{old}”에서 “{name}”(으)로 변경했습니다",
)
CHINESE = Words(
    media="<省略多媒体文件>",
    attached="文件附件",
    deleted="这条消息已被删除",
    mine_deleted="您已删除这条消息",
    edited="<此消息已编辑>",
    place="位置",
    live="共享实时位置",
    missed="未接语音通话",
    waiting="正在等待此消息。可能需要一点时间。",
    notice="消息和通话都进行端到端加密。",
    founded="{who}创建了群组「{name}」",
    renamed="{who}将主题从「{old}」改为「{name}」",
)
ARABIC = Words(
    media="<تم استبعاد الوسائط>",
    attached="الملف مرفق",
    deleted="تم حذف هذه الرسالة",
    mine_deleted="أنت حذفت هذه الرسالة",
    edited="<تم تعديل هذه الرسالة>",
    place="الموقع",
    live="تمت مشاركة الموقع المباشر",
    missed="مكالمة صوتية فائتة",
    waiting="في انتظار هذه الرسالة، قد يستغرق ذلك بعض الوقت.",
    notice="الرسائل والمكالمات مشفرة تمامًا بين الطرفين.",
    founded='أنشأ {who} المجموعة "{name}"',
    renamed='غيّر {who} الموضوع من "{old}" إلى "{name}"',
)
HEBREW = Words(
    media="<המדיה לא נכללה>",
    attached="קובץ מצורף",
    deleted="הודעה זו נמחקה",
    mine_deleted="מחקת הודעה זו",
    edited="<ההודעה נערכה>",
    place="מיקום",
    live="משתף מיקום בשידור חי",
    missed="שיחה קולית שלא נענתה",
    waiting="ממתין להודעה זו. פעולה זו עשויה להימשך זמן מה.",
    notice="ההודעות והשיחות מוצפנות מקצה-לקצה.",
    founded='{who} יצר/ה את הקבוצה "{name}"',
    renamed='{who} שינה/תה את הנושא מ-"{old}" ל-"{name}"',
)
HINDI = Words(
    media="<मीडिया को छोड़ दिया गया>",
    attached="फाइल अटैच कर दी गई है",
    deleted="यह मैसेज डिलीट कर दिया गया है",
    mine_deleted="आपने यह मैसेज डिलीट किया",
    edited="<यह मैसेज एडिट किया गया>",
    place="स्थान",
    live="लाइव स्थान साझा किया गया",
    missed="वॉइस कॉल मिस हुई",
    waiting="संदेश की प्रतीक्षा में . इसमें कुछ समय लग सकता है .",
    notice="मैसेजेस और कॉल्स एंड-टू-एंड एन्क्रिप्टेड हैं.",
    founded='{who} ने "{name}" ग्रुप बनाया',
    renamed='{who} ने विषय को "{old}" से "{name}" में बदला',
)
THAI = Words(
    media="<สื่อถูกลบ>",
    attached="ไฟล์ที่แนบ",
    deleted="ข้อความนี้ถูกลบแล้ว",
    mine_deleted="คุณได้ลบข้อความนี้",
    edited="<แก้ไขข้อความนี้แล้ว>",
    place="ตำแหน่งที่ตั้ง",
    live="ตำแหน่งปัจจุบันถูกแบ่งปัน",
    missed="สายที่ไม่ได้รับ",
    waiting="Waiting for this message. This may take a while.",
    notice="ข้อความและการโทรได้รับการเข้ารหัส",
    founded='{who} สร้างกลุ่ม "{name}"',
    renamed='{who} เปลี่ยนชื่อจาก "{old}" เป็น "{name}"',
)
PERSIAN = Words(
    media="<رسانه حذف شد>",
    attached="پیوستہ فائل",
    deleted="این پیام حذف شد",
    mine_deleted="شما این پیام را حذف کردید",
    edited="<این پیام ویرایش شد>",
    place="موقعیت",
    live="مکان زنده به اشتراک گذاشته شد",
    missed="تماس صوتی پاسخ داده نشده",
    waiting="در انتظار برای این پیام. ممکن است قدری طول بکشد.",
    notice="پیامها و تماسها سرتاسر رمزگذاری شدهاند.",
    founded="{who} گروه «{name}» را ایجاد کرد",
    renamed="{who} موضوع را از «{old}» به «{name}» تغییر داد",
)
VIETNAMESE = Words(
    media="<bỏ qua tệp phương tiện>",
    attached="tệp đính kèm",
    deleted="Tin nhắn này đã bị xóa",
    mine_deleted="Bạn đã xóa tin nhắn này",
    edited="<Tin nhắn này đã được chỉnh sửa>",
    place="vị trí",
    live="vị trí hiện thời được chia sẻ",
    missed="Cuộc gọi nhỡ",
    waiting="Waiting for this message",
    notice="Tin nhắn và cuộc gọi được mã hóa đầu cuối.",
    founded='{who} đã tạo nhóm "{name}"',
    renamed='{who} đã đổi chủ đề từ "{old}" thành "{name}"',
)
IOS = Words(
    media="image omitted",
    attached="attached",
    deleted="This message was deleted.",
    mine_deleted="You deleted this message.",
    edited="<This message was edited>",
    place="Location",
    live="Live location shared",
    missed="Missed voice call",
    waiting="Waiting for this message. This may take a while.",
    notice="Messages and calls are end-to-end encrypted.",
    founded="{who} created group “{name}”",
    renamed="{who} changed the group name from “{old}” to “{name}”",
)
IOS_GERMAN = IOS._replace(
    media="Bild weggelassen",
    attached="Anhang",
    deleted="Diese Nachricht wurde gelöscht.",
    mine_deleted="Du hast diese Nachricht gelöscht.",
    edited="<Diese Nachricht wurde bearbeitet>",
    founded="{who} hat die Gruppe „{name}“ erstellt",
    renamed="{who} hat den Gruppennamen in „{name}“ geändert",
)
IOS_FRENCH = IOS._replace(media="image absente", attached="pièce jointe", edited="<Ce message a été modifié>")
IOS_TURKISH = IOS._replace(media="görüntü dahil edilmedi", attached="eklendi", deleted="Bu mesaj silindi.")
IOS_JAPANESE = IOS._replace(
    media="画像は含まれていません", attached="添付ファイル", deleted="このメッセージは削除されました。"
)
IOS_UNKNOWN = IOS._replace(media="pilt jäeti välja", attached="manus", deleted="See sõnum kustutati ära.")
"""In a language whose words nobody has collected: the marks tell."""

PHONES = (
    Phone("android en-GB", lambda t: f"{t:%d/%m/%Y, %H:%M} - ", ENGLISH),
    Phone("android en-IN", lambda t: f"{t:%d/%m/%y}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'am', 'pm')} - ", ENGLISH),
    Phone(
        "android en-US",
        lambda t: f"{t.month}/{t.day}/{t:%y}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'AM', 'PM')} - ",
        ENGLISH,
    ),
    Phone(
        "android en-US before 2023",
        lambda t: f"{t.month}/{t.day}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'AM', 'PM')} - ",
        ENGLISH,
    ),
    Phone("android en-CA", lambda t: f"{t:%Y-%m-%d}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'a.m.', 'p.m.')} - ", ENGLISH),
    Phone("android en-ZA", lambda t: f"{t:%Y/%m/%d}, {t:%H:%M} - ", ENGLISH),
    Phone("android de", lambda t: f"{t:%d.%m.%y, %H:%M} - ", GERMAN),
    Phone("android de-AT on Windows", lambda t: f"{t:%d.%m.%y, %H:%M} - ", GERMAN, end="\r\n", encoding="utf-8-sig"),
    Phone("android de, cp1252", lambda t: f"{t:%d.%m.%y, %H:%M} - ", GERMAN, encoding="cp1252"),
    Phone("android de, um", lambda t: f"{t:%d.%m.%Y} um {t:%H:%M} Uhr - ", GERMAN),
    Phone("android es", lambda t: f"{t.day}/{t.month}/{t:%y}, {t.hour}:{t:%M} - ", SPANISH),
    Phone(
        "android es-MX",
        lambda t: f"{t:%d/%m/%y}, {_h12(t)}:{t:%M} {_half(t, f'a.{NBSP}m.', f'p.{NBSP}m.')} - ",
        SPANISH,
    ),
    Phone(
        "android es-AR",
        lambda t: f"{t.day}/{t.month}/{t.year}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'a. m.', 'p. m.')} - ",
        SPANISH,
    ),
    Phone("android fr", lambda t: f"{t:%d/%m/%Y} à {t:%H:%M} - ", FRENCH),
    Phone("android fr-CA", lambda t: f"{t:%Y-%m-%d} {t.hour} h {t:%M} - ", FRENCH),
    Phone("android pt-BR", lambda t: f"{t:%d/%m/%Y %H:%M} - ", PORTUGUESE),
    Phone("android pt, às", lambda t: f"{t:%d/%m/%y} às {t:%H:%M} - ", PORTUGUESE),
    Phone("android it", lambda t: f"{t:%d/%m/%y, %H:%M} - ", ITALIAN),
    Phone("android nl", lambda t: f"{t:%d-%m-%Y %H:%M} - ", DUTCH),
    Phone("android tr", lambda t: f"{t.day}.{t:%m.%Y %H:%M} - ", TURKISH),
    Phone(
        "android tr, twelve hours", lambda t: f"{t.day}.{t:%m.%Y} {_half(t, 'ÖÖ', 'ÖS')} {_h12(t)}:{t:%M} - ", TURKISH
    ),
    Phone("android ru", lambda t: f"{t:%d.%m.%Y, %H:%M} - ", RUSSIAN),
    Phone("android bg", lambda t: f"{t.day}.{t:%m.%y} г., {t.hour}:{t:%M} ч. - ", RUSSIAN),
    Phone("android fi", lambda t: f"{t.day}.{t.month}.{t.year} klo {t.hour}.{t:%M} - ", FINNISH),
    Phone("android da", lambda t: f"{t:%d.%m.%Y} kl. {t:%H.%M} - ", FINNISH),
    Phone("android pl", lambda t: f"{t.day}.{t:%m.%Y, %H:%M} - ", POLISH),
    Phone("android cs", lambda t: f"{t.day}. {t.month}. {t.year} {t.hour}:{t:%M} - ", POLISH),
    Phone("android hu", lambda t: f"{t:%Y. %m. %d.} {t.hour}:{t:%M} - ", POLISH),
    Phone("android ja", lambda t: f"{t:%Y/%m/%d} {t.hour}:{t:%M} - ", JAPANESE),
    Phone("android ja, two digits", lambda t: f"{t:%y/%m/%d} {t.hour}:{t:%M} - ", JAPANESE),
    Phone(
        "android ko", lambda t: f"{t.year}. {t.month}. {t.day}. {_half(t, '오전', '오후')} {_h12(t)}:{t:%M} - ", KOREAN
    ),
    Phone(
        "android zh-CN", lambda t: f"{t.year}/{t.month}/{t.day} {_half(t, '上午', '下午')}{_h12(t)}:{t:%M} - ", CHINESE
    ),
    Phone(
        "android ar",
        lambda t: _digits(f"{t.day}\u200f/{t.month}\u200f/{t.year}، {_h12(t)}:{t:%M} {_half(t, 'ص', 'م')} - ", "٠"),
        ARABIC,
    ),
    Phone("android he", lambda t: f"{t.day}.{t.month}.{t.year}, {t.hour}:{t:%M} - ", HEBREW),
    Phone("android hi", lambda t: f"{t.day}/{t.month}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'am', 'pm')} - ", HINDI),
    Phone(
        "android mr",
        lambda t: _digits(f"{t.day}/{t.month}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'म.पू.', 'म.उ.')} - ", "०"),
        HINDI,
    ),
    Phone("android th", lambda t: f"{t.day}/{t.month}/{t.year + 543} {t:%H:%M} - ", THAI),
    Phone("android th, two digits", lambda t: f"{t.day}/{t.month}/{(t.year + 543) % 100} {t:%H:%M} - ", THAI),
    Phone("android fa", lambda t: _digits(f"{_jalali(t)},‏ {t:%H:%M} - ", "۰"), PERSIAN),
    Phone("android vi", lambda t: f"{t:%H:%M}, {t.day}/{t.month}/{t.year} - ", VIETNAMESE),
    Phone("android el", lambda t: f"{t.day}/{t.month}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'π.μ.', 'μ.μ.')} - ", ENGLISH),
    Phone("ios en-GB", lambda t: f"[{t:%d/%m/%Y, %H:%M:%S}] ", IOS, end="\r\n"),
    Phone("ios en-GB, LF", lambda t: f"[{t:%d/%m/%Y, %H:%M:%S}] ", IOS),
    Phone(
        "ios en-US",
        lambda t: f"[{t.month}/{t.day}/{t:%y}, {_h12(t)}:{t:%M:%S}{NARROW}{_half(t, 'AM', 'PM')}] ",
        IOS,
        end="\r\n",
    ),
    Phone(
        "ios en-AU",
        lambda t: f"[{t.day}/{t.month}/{t.year}, {_h12(t)}:{t:%M:%S} {_half(t, 'am', 'pm')}] ",
        IOS,
        end="\r\n",
    ),
    Phone("ios de", lambda t: f"[{t:%d.%m.%y, %H:%M:%S}] ", IOS_GERMAN, end="\r\n"),
    Phone("ios fr", lambda t: f"[{t:%d/%m/%Y %H:%M:%S}] ", IOS_FRENCH),
    Phone("ios fr-CA", lambda t: f"[{t:%Y-%m-%d} {t.hour} h {t:%M} min {t:%S} s] ", IOS_FRENCH),
    Phone("ios tr", lambda t: f"[{t.day}.{t:%m.%Y %H:%M:%S}] ", IOS_TURKISH, end="\r\n"),
    Phone("ios ja", lambda t: f"[{t:%Y/%m/%d} {t.hour}:{t:%M:%S}] ", IOS_JAPANESE, end="\r\n"),
    Phone(
        "ios zh-TW",
        lambda t: f"[{t.year}/{t.month}/{t.day} {_half(t, '上午', '下午')}{_h12(t)}:{t:%M:%S}] ",
        IOS_JAPANESE,
    ),
    Phone("ios da", lambda t: f"[{t:%d.%m.%Y %H.%M.%S}] ", IOS_UNKNOWN, end="\r\n"),
    Phone("ios et, UTF-16", lambda t: f"[{t:%d.%m.%Y %H:%M:%S}] ", IOS_UNKNOWN, end="\r\n", encoding="utf-16"),
)
