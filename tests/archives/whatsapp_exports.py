"""Chats as phones of many languages export them, with what is in them: made up, to read and compare."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.sessions.session import Message

LRM, NARROW, NBSP = "\u200e", "\u202f", "\u00a0"


class Phone(NamedTuple):
    """How a phone exports.

    Attributes:
        header: what stands before the name.
        media: what stands for a file, if none are exported; on iPhones one kind of many.
        attached: what stands after the name of a file that is.
        notice: the first line of each chat.
        founded: a group is made; with {who} and {name}.
        renamed: it gets another name; with {who}, {old} and {name}.
    """

    name: str
    is_ios: bool
    header: Callable[[datetime], str]
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
    end: str = "\n"
    encoding: str = "utf-8"
    has_seconds: bool = False


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


ENGLISH = {
    "media": "<Media omitted>", "attached": "file attached", "deleted": "This message was deleted",
    "mine_deleted": "You deleted this message", "edited": "<This message was edited>", "place": "location",
    "live": "live location shared", "missed": "Missed voice call",
    "waiting": "Waiting for this message. This may take a while.",
    "notice": "Messages and calls are end-to-end encrypted. No one outside of this chat can read them: tap to learn more.",
    "founded": '{who} created group "{name}"', "renamed": '{who} changed the subject from "{old}" to "{name}"',
}  # fmt: skip
GERMAN = {
    "media": "<Medien ausgeschlossen>", "attached": "Datei angehängt", "deleted": "Diese Nachricht wurde gelöscht.",
    "mine_deleted": "Du hast diese Nachricht gelöscht.", "edited": "<Diese Nachricht wurde bearbeitet.>",
    "place": "Standort", "live": "Live-Standort wird geteilt", "missed": "Verpasster Sprachanruf",
    "waiting": "Warte auf diese Nachricht. Dies kann einen Moment dauern.",
    "notice": "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt. Tippe, um mehr zu erfahren.",
    "founded": "{who} hat die Gruppe „{name}“ erstellt", "renamed": "{who} hat den Betreff von „{old}“ zu „{name}“ geändert.",
}  # fmt: skip
SPANISH = {
    "media": "<Multimedia omitido>", "attached": "archivo adjunto", "deleted": "Se eliminó este mensaje.",
    "mine_deleted": "Eliminaste este mensaje.", "edited": "<Se editó este mensaje.>", "place": "ubicación",
    "live": "ubicación en tiempo real compartida", "missed": "Llamada perdida",
    "waiting": "Esperando mensaje. Esto puede tomar tiempo.",
    "notice": "Los mensajes y las llamadas están cifrados de extremo a extremo. Toca para obtener más información.",
    "founded": '{who} creó el grupo "{name}"', "renamed": '{who} cambió el asunto de "{old}" a "{name}"',
}  # fmt: skip
FRENCH = {
    "media": "<Médias omis>", "attached": "fichier joint", "deleted": "Ce message a été supprimé",
    "mine_deleted": "Vous avez supprimé ce message", "edited": "<Ce message a été modifié>", "place": "localisation",
    "live": "Localisation en direct partagée", "missed": "Appel vocal manqué",
    "waiting": "En attente de ce message. Ceci pourrait prendre un moment.",
    "notice": "Les messages et les appels sont chiffrés de bout en bout.",
    "founded": "{who} a créé le groupe « {name} »", "renamed": "{who} a changé le sujet de « {old} » à « {name} »",
}  # fmt: skip
PORTUGUESE = {
    "media": "<Mídia oculta>", "attached": "arquivo anexado", "deleted": "Mensagem apagada",
    "mine_deleted": "Você apagou esta mensagem", "edited": "<Mensagem editada>", "place": "localização",
    "live": "localização atual compartilhada", "missed": "Chamada de voz perdida",
    "waiting": "Aguardando mensagem. Essa ação pode levar alguns instantes.",
    "notice": "As mensagens e as chamadas são protegidas com a criptografia de ponta a ponta.",
    "founded": '{who} criou o grupo "{name}"', "renamed": '{who} mudou o nome do grupo de "{old}" para "{name}"',
}  # fmt: skip
ITALIAN = {
    "media": "<Media omessi>", "attached": "file allegato", "deleted": "Questo messaggio è stato eliminato",
    "mine_deleted": "Hai eliminato questo messaggio", "edited": "<Questo messaggio è stato modificato>",
    "place": "posizione", "live": "posizione attuale condivisa", "missed": "Chiamata vocale persa",
    "waiting": "In attesa del messaggio. Potrebbe volerci un po' di tempo.",
    "notice": "I messaggi e le chiamate sono crittografati end-to-end.",
    "founded": '{who} ha creato il gruppo "{name}"', "renamed": "{who} ha cambiato l'oggetto da “{old}” a “{name}”",
}  # fmt: skip
DUTCH = {
    "media": "<Media weggelaten>", "attached": "bestand bijgevoegd", "deleted": "Dit bericht is verwijderd",
    "mine_deleted": "U hebt dit bericht verwijderd", "edited": "<Dit bericht is bewerkt>", "place": "locatie",
    "live": "live locatie gedeeld", "missed": "Gemiste spraakoproep", "waiting": "Wachten op dit bericht. Dit kan even duren.",
    "notice": "Berichten en gesprekken worden end-to-end versleuteld.",
    "founded": "{who} heeft de groep “{name}” gemaakt", "renamed": "{who} heeft het onderwerp gewijzigd van “{old}” naar “{name}”",
}  # fmt: skip
TURKISH = {
    "media": "<Medya dahil edilmedi>", "attached": "dosya ekli", "deleted": "Bu mesaj silindi",
    "mine_deleted": "Bu mesajı sildiniz", "edited": "<Bu mesaj düzenlendi>", "place": "konum",
    "live": "Mevcut konum paylaşıldı", "missed": "Cevapsız sesli arama", "waiting": "Bu mesaj bekleniyor. Bu biraz zaman alabilir.",
    "notice": "Mesajlar ve aramalar uçtan uca şifrelidir.",
    "founded": '{who} "{name}" grubunu oluşturdu', "renamed": '{who} konuyu "{old}" yerine "{name}" olarak değiştirdi',
}  # fmt: skip
RUSSIAN = {
    "media": "<Без медиафайлов>", "attached": "файл добавлен", "deleted": "Данное сообщение удалено",
    "mine_deleted": "Вы удалили данное сообщение", "edited": "<Сообщение изменено>", "place": "местоположение",
    "live": "Геоданные отправлены", "missed": "Пропущенный аудиозвонок",
    "waiting": "Ожидание данного сообщения. Это может занять некоторое время.",
    "notice": "Сообщения и звонки защищены сквозным шифрованием.",
    "founded": "{who} создал(-а) группу «{name}»", "renamed": "{who} изменил(-а) тему с «{old}» на «{name}»",
}  # fmt: skip
FINNISH = {
    "media": "<Media jätettiin pois>", "attached": "liitetiedosto", "deleted": "Tämä viesti poistettiin",
    "mine_deleted": "Poistit tämän viestin", "edited": "<Tätä viestiä muokattiin>", "place": "sijainti",
    "live": "live-sijainti jaettu", "missed": "Vastaamaton äänipuhelu",
    "waiting": "Odotetaan tätä viestiä. Tässä saattaa kestää hetki.", "notice": "Viestit ja puhelut salataan täysin.",
    "founded": "{who} loi ryhmän ”{name}”", "renamed": "{who} muutti aiheen ”{old}” aiheeksi ”{name}”",
}  # fmt: skip
POLISH = {
    "media": "<pominięto multimedia>", "attached": "załączony plik", "deleted": "Ta wiadomość została usunięta",
    "mine_deleted": "Usunięto tę wiadomość", "edited": "<Ta wiadomość została zedytowana>", "place": "położenie",
    "live": "udostępniona transmisja położenia", "missed": "Nieodebrane połączenie głosowe",
    "waiting": "Oczekiwanie na tę wiadomość. To może chwilę potrwać.",
    "notice": "Wiadomości i połączenia są w pełni zaszyfrowane.",
    "founded": "{who} utworzył(a) grupę „{name}”", "renamed": "{who} zmienił(a) temat z „{old}” na „{name}”",
}  # fmt: skip
JAPANESE = {
    "media": "<メディアは含まれていません>", "attached": "添付ファイル有り", "deleted": "このメッセージは削除されました",
    "mine_deleted": "このメッセージを削除しました", "edited": "<このメッセージは編集されました>", "place": "位置情報",
    "live": "ライブロケーション共有", "missed": "音声通話不在着信",
    "waiting": "このメッセージを待っています。これには時間がかかることがあります。",
    "notice": "メッセージと通話はエンドツーエンド暗号化されています。",
    "founded": "{who}がグループ「{name}」を作成しました", "renamed": "{who}が件名を「{old}」から「{name}」に変更しました",
}  # fmt: skip
KOREAN = {
    "media": "<미디어 파일을 생략한 대화내용>", "attached": "파일 첨부됨", "deleted": "이 메시지는 삭제되었습니다",
    "mine_deleted": "삭제한 메시지입니다", "edited": "<이 메시지는 편집되었습니다>", "place": "위치", "live": "공유한 실시간 위치",
    "missed": "부재중 전화", "waiting": "메시지 암호화 대기중입니다. 다소 시간이 소요될 수 있습니다.",
    "notice": "메시지 및 전화는 종단간 암호화되어 안전합니다.", "founded": "{who}님이 ‘{name}’ 그룹을 만들었습니다",
    "renamed": "{who}님이 제목을 “{old}”에서 “{name}”(으)로 변경했습니다",
}  # fmt: skip
CHINESE = {
    "media": "<省略多媒体文件>", "attached": "文件附件", "deleted": "这条消息已被删除", "mine_deleted": "您已删除这条消息",
    "edited": "<此消息已编辑>", "place": "位置", "live": "共享实时位置", "missed": "未接语音通话",
    "waiting": "正在等待此消息。可能需要一点时间。", "notice": "消息和通话都进行端到端加密。",
    "founded": "{who}创建了群组「{name}」", "renamed": "{who}将主题从「{old}」改为「{name}」",
}  # fmt: skip
ARABIC = {
    "media": "<تم استبعاد الوسائط>", "attached": "الملف مرفق", "deleted": "تم حذف هذه الرسالة",
    "mine_deleted": "أنت حذفت هذه الرسالة", "edited": "<تم تعديل هذه الرسالة>", "place": "الموقع",
    "live": "تمت مشاركة الموقع المباشر", "missed": "مكالمة صوتية فائتة",
    "waiting": "في انتظار هذه الرسالة، قد يستغرق ذلك بعض الوقت.", "notice": "الرسائل والمكالمات مشفرة تمامًا بين الطرفين.",
    "founded": 'أنشأ {who} المجموعة "{name}"', "renamed": 'غيّر {who} الموضوع من "{old}" إلى "{name}"',
}  # fmt: skip
HEBREW = {
    "media": "<המדיה לא נכללה>", "attached": "קובץ מצורף", "deleted": "הודעה זו נמחקה", "mine_deleted": "מחקת הודעה זו",
    "edited": "<ההודעה נערכה>", "place": "מיקום", "live": "משתף מיקום בשידור חי", "missed": "שיחה קולית שלא נענתה",
    "waiting": "ממתין להודעה זו. פעולה זו עשויה להימשך זמן מה.", "notice": "ההודעות והשיחות מוצפנות מקצה-לקצה.",
    "founded": '{who} יצר/ה את הקבוצה "{name}"', "renamed": '{who} שינה/תה את הנושא מ-"{old}" ל-"{name}"',
}  # fmt: skip
HINDI = {
    "media": "<मीडिया को छोड़ दिया गया>", "attached": "फाइल अटैच कर दी गई है", "deleted": "यह मैसेज डिलीट कर दिया गया है",
    "mine_deleted": "आपने यह मैसेज डिलीट किया", "edited": "<यह मैसेज एडिट किया गया>", "place": "स्थान",
    "live": "लाइव स्थान साझा किया गया", "missed": "वॉइस कॉल मिस हुई",
    "waiting": "संदेश की प्रतीक्षा में . इसमें कुछ समय लग सकता है .", "notice": "मैसेजेस और कॉल्स एंड-टू-एंड एन्क्रिप्टेड हैं.",
    "founded": '{who} ने "{name}" ग्रुप बनाया', "renamed": '{who} ने विषय को "{old}" से "{name}" में बदला',
}  # fmt: skip
THAI = {
    "media": "<สื่อถูกลบ>", "attached": "ไฟล์ที่แนบ", "deleted": "ข้อความนี้ถูกลบแล้ว", "mine_deleted": "คุณได้ลบข้อความนี้",
    "edited": "<แก้ไขข้อความนี้แล้ว>", "place": "ตำแหน่งที่ตั้ง", "live": "ตำแหน่งปัจจุบันถูกแบ่งปัน", "missed": "สายที่ไม่ได้รับ",
    "waiting": "Waiting for this message. This may take a while.", "notice": "ข้อความและการโทรได้รับการเข้ารหัส",
    "founded": '{who} สร้างกลุ่ม "{name}"', "renamed": '{who} เปลี่ยนชื่อจาก "{old}" เป็น "{name}"',
}  # fmt: skip
PERSIAN = {
    "media": "<رسانه حذف شد>", "attached": "پیوستہ فائل", "deleted": "این پیام حذف شد", "mine_deleted": "شما این پیام را حذف کردید",
    "edited": "<این پیام ویرایش شد>", "place": "موقعیت", "live": "مکان زنده به اشتراک گذاشته شد",
    "missed": "تماس صوتی پاسخ داده نشده", "waiting": "در انتظار برای این پیام. ممکن است قدری طول بکشد.",
    "notice": "پیامها و تماسها سرتاسر رمزگذاری شدهاند.", "founded": "{who} گروه «{name}» را ایجاد کرد",
    "renamed": "{who} موضوع را از «{old}» به «{name}» تغییر داد",
}  # fmt: skip
VIETNAMESE = {
    "media": "<bỏ qua tệp phương tiện>", "attached": "tệp đính kèm", "deleted": "Tin nhắn này đã bị xóa",
    "mine_deleted": "Bạn đã xóa tin nhắn này", "edited": "<Tin nhắn này đã được chỉnh sửa>", "place": "vị trí",
    "live": "vị trí hiện thời được chia sẻ", "missed": "Cuộc gọi nhỡ", "waiting": "Waiting for this message",
    "notice": "Tin nhắn và cuộc gọi được mã hóa đầu cuối.", "founded": '{who} đã tạo nhóm "{name}"',
    "renamed": '{who} đã đổi chủ đề từ "{old}" thành "{name}"',
}  # fmt: skip
IOS = {
    "media": "image omitted", "attached": "attached", "deleted": "This message was deleted.",
    "mine_deleted": "You deleted this message.", "edited": "<This message was edited>", "place": "Location",
    "live": "Live location shared", "missed": "Missed voice call", "waiting": "Waiting for this message. This may take a while.",
    "notice": "Messages and calls are end-to-end encrypted.", "founded": "{who} created group “{name}”",
    "renamed": "{who} changed the group name from “{old}” to “{name}”",
}  # fmt: skip
IOS_GERMAN = {
    **IOS, "media": "Bild weggelassen", "attached": "Anhang", "deleted": "Diese Nachricht wurde gelöscht.",
    "mine_deleted": "Du hast diese Nachricht gelöscht.", "edited": "<Diese Nachricht wurde bearbeitet>",
    "founded": "{who} hat die Gruppe „{name}“ erstellt", "renamed": "{who} hat den Gruppennamen in „{name}“ geändert",
}  # fmt: skip
IOS_FRENCH = {**IOS, "media": "image absente", "attached": "pièce jointe", "edited": "<Ce message a été modifié>"}
IOS_TURKISH = {**IOS, "media": "görüntü dahil edilmedi", "attached": "eklendi", "deleted": "Bu mesaj silindi."}
IOS_JAPANESE = {**IOS, "media": "画像は含まれていません", "attached": "添付ファイル", "deleted": "このメッセージは削除されました。"}
IOS_UNKNOWN = {**IOS, "media": "pilt jäeti välja", "attached": "manus", "deleted": "See sõnum kustutati ära."}
"""In a language whose words nobody has collected: the marks tell."""

PHONES = (
    Phone("android en-GB", False, lambda t: f"{t:%d/%m/%Y, %H:%M} - ", **ENGLISH),
    Phone("android en-IN", False, lambda t: f"{t:%d/%m/%y}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'am', 'pm')} - ", **ENGLISH),
    Phone("android en-US", False, lambda t: f"{t.month}/{t.day}/{t:%y}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'AM', 'PM')} - ", **ENGLISH),
    Phone("android en-US before 2023", False, lambda t: f"{t.month}/{t.day}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'AM', 'PM')} - ", **ENGLISH),
    Phone("android en-CA", False, lambda t: f"{t:%Y-%m-%d}, {_h12(t)}:{t:%M}{NARROW}{_half(t, f'a.m.', f'p.m.')} - ", **ENGLISH),
    Phone("android en-ZA", False, lambda t: f"{t:%Y/%m/%d}, {t:%H:%M} - ", **ENGLISH),
    Phone("android de", False, lambda t: f"{t:%d.%m.%y, %H:%M} - ", **GERMAN),
    Phone("android de-AT on Windows", False, lambda t: f"{t:%d.%m.%y, %H:%M} - ", end="\r\n", encoding="utf-8-sig", **GERMAN),
    Phone("android de, cp1252", False, lambda t: f"{t:%d.%m.%y, %H:%M} - ", encoding="cp1252", **GERMAN),
    Phone("android de, um", False, lambda t: f"{t:%d.%m.%Y} um {t:%H:%M} Uhr - ", **GERMAN),
    Phone("android es", False, lambda t: f"{t.day}/{t.month}/{t:%y}, {t.hour}:{t:%M} - ", **SPANISH),
    Phone("android es-MX", False, lambda t: f"{t:%d/%m/%y}, {_h12(t)}:{t:%M} {_half(t, f'a.{NBSP}m.', f'p.{NBSP}m.')} - ", **SPANISH),
    Phone("android es-AR", False, lambda t: f"{t.day}/{t.month}/{t.year}, {_h12(t)}:{t:%M}{NARROW}{_half(t, 'a. m.', 'p. m.')} - ", **SPANISH),
    Phone("android fr", False, lambda t: f"{t:%d/%m/%Y} à {t:%H:%M} - ", **FRENCH),
    Phone("android fr-CA", False, lambda t: f"{t:%Y-%m-%d} {t.hour} h {t:%M} - ", **FRENCH),
    Phone("android pt-BR", False, lambda t: f"{t:%d/%m/%Y %H:%M} - ", **PORTUGUESE),
    Phone("android pt, às", False, lambda t: f"{t:%d/%m/%y} às {t:%H:%M} - ", **PORTUGUESE),
    Phone("android it", False, lambda t: f"{t:%d/%m/%y, %H:%M} - ", **ITALIAN),
    Phone("android nl", False, lambda t: f"{t:%d-%m-%Y %H:%M} - ", **DUTCH),
    Phone("android tr", False, lambda t: f"{t.day}.{t:%m.%Y %H:%M} - ", **TURKISH),
    Phone("android tr, twelve hours", False, lambda t: f"{t.day}.{t:%m.%Y} {_half(t, 'ÖÖ', 'ÖS')} {_h12(t)}:{t:%M} - ", **TURKISH),
    Phone("android ru", False, lambda t: f"{t:%d.%m.%Y, %H:%M} - ", **RUSSIAN),
    Phone("android bg", False, lambda t: f"{t.day}.{t:%m.%y} г., {t.hour}:{t:%M} ч. - ", **RUSSIAN),
    Phone("android fi", False, lambda t: f"{t.day}.{t.month}.{t.year} klo {t.hour}.{t:%M} - ", **FINNISH),
    Phone("android da", False, lambda t: f"{t:%d.%m.%Y} kl. {t:%H.%M} - ", **FINNISH),
    Phone("android pl", False, lambda t: f"{t.day}.{t:%m.%Y, %H:%M} - ", **POLISH),
    Phone("android cs", False, lambda t: f"{t.day}. {t.month}. {t.year} {t.hour}:{t:%M} - ", **POLISH),
    Phone("android hu", False, lambda t: f"{t:%Y. %m. %d.} {t.hour}:{t:%M} - ", **POLISH),
    Phone("android ja", False, lambda t: f"{t:%Y/%m/%d} {t.hour}:{t:%M} - ", **JAPANESE),
    Phone("android ja, two digits", False, lambda t: f"{t:%y/%m/%d} {t.hour}:{t:%M} - ", **JAPANESE),
    Phone("android ko", False, lambda t: f"{t.year}. {t.month}. {t.day}. {_half(t, '오전', '오후')} {_h12(t)}:{t:%M} - ", **KOREAN),
    Phone("android zh-CN", False, lambda t: f"{t.year}/{t.month}/{t.day} {_half(t, '上午', '下午')}{_h12(t)}:{t:%M} - ", **CHINESE),
    Phone("android ar", False, lambda t: _digits(f"{t.day}\u200f/{t.month}\u200f/{t.year}، {_h12(t)}:{t:%M} {_half(t, 'ص', 'م')} - ", "٠"), **ARABIC),
    Phone("android he", False, lambda t: f"{t.day}.{t.month}.{t.year}, {t.hour}:{t:%M} - ", **HEBREW),
    Phone("android hi", False, lambda t: f"{t.day}/{t.month}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'am', 'pm')} - ", **HINDI),
    Phone("android mr", False, lambda t: _digits(f"{t.day}/{t.month}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'म.पू.', 'म.उ.')} - ", "०"), **HINDI),
    Phone("android th", False, lambda t: f"{t.day}/{t.month}/{t.year + 543} {t:%H:%M} - ", **THAI),
    Phone("android th, two digits", False, lambda t: f"{t.day}/{t.month}/{(t.year + 543) % 100} {t:%H:%M} - ", **THAI),
    Phone("android fa", False, lambda t: _digits(f"{_jalali(t)},‏ {t:%H:%M} - ", "۰"), **PERSIAN),
    Phone("android vi", False, lambda t: f"{t:%H:%M}, {t.day}/{t.month}/{t.year} - ", **VIETNAMESE),
    Phone("android el", False, lambda t: f"{t.day}/{t.month}/{t:%y}, {_h12(t)}:{t:%M} {_half(t, 'π.μ.', 'μ.μ.')} - ", **ENGLISH),
    Phone("ios en-GB", True, lambda t: f"[{t:%d/%m/%Y, %H:%M:%S}] ", end="\r\n", has_seconds=True, **IOS),
    Phone("ios en-GB, LF", True, lambda t: f"[{t:%d/%m/%Y, %H:%M:%S}] ", has_seconds=True, **IOS),
    Phone("ios en-US", True, lambda t: f"[{t.month}/{t.day}/{t:%y}, {_h12(t)}:{t:%M:%S}{NARROW}{_half(t, 'AM', 'PM')}] ", end="\r\n", has_seconds=True, **IOS),
    Phone("ios en-AU", True, lambda t: f"[{t.day}/{t.month}/{t.year}, {_h12(t)}:{t:%M:%S} {_half(t, 'am', 'pm')}] ", end="\r\n", has_seconds=True, **IOS),
    Phone("ios de", True, lambda t: f"[{t:%d.%m.%y, %H:%M:%S}] ", end="\r\n", has_seconds=True, **IOS_GERMAN),
    Phone("ios fr", True, lambda t: f"[{t:%d/%m/%Y %H:%M:%S}] ", has_seconds=True, **IOS_FRENCH),
    Phone("ios fr-CA", True, lambda t: f"[{t:%Y-%m-%d} {t.hour} h {t:%M} min {t:%S} s] ", has_seconds=True, **IOS_FRENCH),
    Phone("ios tr", True, lambda t: f"[{t.day}.{t:%m.%Y %H:%M:%S}] ", end="\r\n", has_seconds=True, **IOS_TURKISH),
    Phone("ios ja", True, lambda t: f"[{t:%Y/%m/%d} {t.hour}:{t:%M:%S}] ", end="\r\n", has_seconds=True, **IOS_JAPANESE),
    Phone("ios zh-TW", True, lambda t: f"[{t.year}/{t.month}/{t.day} {_half(t, '上午', '下午')}{_h12(t)}:{t:%M:%S}] ", has_seconds=True, **IOS_JAPANESE),
    Phone("ios da", True, lambda t: f"[{t:%d.%m.%Y %H.%M.%S}] ", end="\r\n", has_seconds=True, **IOS_UNKNOWN),
    Phone("ios et, UTF-16", True, lambda t: f"[{t:%d.%m.%Y %H:%M:%S}] ", end="\r\n", encoding="utf-16", has_seconds=True, **IOS_UNKNOWN),
)  # fmt: skip

_SAID = (
    "see you at nine", "Slow and steady: that wins", "Look: here: three: colons", "no", "ok", "ok", "😀👍🏽", "a\n\n  b\nc",
    "https://example.org/a?b=c", "call me at 12:30 - or later", "(file attached) is what it says", "<3", "x > y",
    "the image was omitted, they said", "1/2/23 was a good day", "[sic] he wrote", "Name: Value", "- one\n- two",
    "This message was deleted by me, I think", "I said “hi: there” and left", "null and void", "12. that is all",
    "POLL: who is in?", "it is 5/6/2023, 9:00 - be there", "my location: the pub", "@\u2068Nell\u2069 look",
)  # fmt: skip
_PASTED = (
    "[28/02/24, 21:15:10] Ida: bring the blue rope", "12/28/23, 9:05 PM - Ida: and the lamp", "[15/08, 21:12] Ida: hi",
    "[21:12, 15/08/2023] Ida: hello", "2024-12-31 10:00:00 - PUMP: pressure low", "31.12.2024, 10:00 - PUMP: refilled",
    "[31.12.24, 10:00:05] Ida: soon", "5/13/24, 11:05\u202fAM - Ida: no",
)  # fmt: skip


class Exported(NamedTuple):
    """A file, and what was said in it."""

    data: bytes
    said: list[Message]
    rows: int


def exported(
    phone: Phone, seed: int, *, people: tuple[str, ...] = ("Nell Harrow", "Otto Finch"), count: int = 80
) -> Exported:
    """A chat of some weeks in the summer of 2023; a group if more than two are in it."""
    return _Writer(phone, random.Random(seed), people).write(count)


class _Writer:
    def __init__(self, phone: Phone, chance: random.Random, people: tuple[str, ...]) -> None:
        self._phone = phone
        self._chance = chance
        self._people = people
        self._time = datetime(2023, 8, 1, 7, 58, 3)
        self._lines: list[str] = []
        self._said: list[Message] = []
        self._rows = 0
        self._foreign = [each for each in _PASTED if self._is_foreign(each)]

    def write(self, count: int) -> Exported:
        """The file."""
        phone, group = self._phone, "Trip: Rome"
        if len(self._people) > 2:
            self._row("" if not phone.is_ios else f"{group}: {LRM}", phone.notice)
            who = self._people[0]
            self._row(f"{who}: {LRM}" if phone.is_ios else "", phone.founded.format(who=who, name="Old: name"))
            self._row(LRM if phone.is_ios else "", phone.renamed.format(who=who, old="Old: name", name=group))
        else:
            self._row(f"{self._people[0]}: {LRM}" if phone.is_ios else "", phone.notice)
        kinds = [self._plain] * 6 + [
            self._media, self._caption, self._attachment, self._deleted, self._edited, self._place, self._poll,
            self._call, self._pasted, self._document, self._empty,
        ]  # fmt: skip
        for number in range(count):
            self._time += timedelta(seconds=self._chance.choice((1, 7, 40, 300, 5_000, 40_000)))
            who = self._people[number % len(self._people)] if number < 6 else self._chance.choice(self._people)
            (self._plain if number < 6 else self._chance.choice(kinds))(who)
        data = "".join(line + phone.end for line in self._lines).encode(phone.encoding, "replace")
        return Exported(data, self._said, self._rows)

    def _is_foreign(self, line: str) -> bool:
        """Whether a pasted line has another shape than the file's headers, or they are told by the ends of lines."""
        from pipeline.archives.whatsapp.headers import looks_like_header, shape_of

        if self._phone.is_ios and self._phone.end == "\r\n":
            return True
        own, pasted = (looks_like_header(text) for text in (self._phone.header(self._time), line))
        return pasted is None or (own is not None and shape_of(own) != shape_of(pasted))

    def _row(self, front: str, text: str, mark: str = "") -> None:
        within = "\r\n" if self._phone.end == "\r\n" and not self._phone.is_ios else "\n"
        self._lines.append(mark + self._phone.header(self._time) + front + text.replace("\n", within))
        self._rows += 1

    def _speech(self, who: str, text: str, written: str | None = None, mark: str = "") -> None:
        if self._phone.encoding == "cp1252":
            text = text.encode("cp1252", "replace").decode("cp1252")
        self._row(f"{who}: ", text if written is None else written, mark)
        time = self._time if self._phone.has_seconds else self._time.replace(second=0)
        self._said.append(Message(who.removeprefix(f"~{NARROW}"), False, f"{time.isoformat()}Z", text))

    def _plain(self, who: str) -> None:
        self._speech(who, self._chance.choice(_SAID))

    def _pasted(self, who: str) -> None:
        lines = self._chance.sample(self._foreign, min(2, len(self._foreign)))
        self._speech(who, "\n".join(["look what it says:", *lines, "that was it"]))

    def _media(self, who: str) -> None:
        if self._phone.is_ios:
            self._row(f"{who}: {LRM}", self._phone.media, LRM)
        else:
            self._row(f"{who}: ", self._phone.media)

    def _caption(self, who: str) -> None:
        caption = self._chance.choice(("look at this", "two\nlines", "Rome: day 1"))
        if self._phone.is_ios:
            self._speech(who, caption, f"{caption} {LRM}{self._phone.media}", LRM)
        else:
            self._speech(who, caption, f"{LRM}IMG-20230801-WA0001.jpg ({self._phone.attached})\n{caption}")

    def _attachment(self, who: str) -> None:
        if self._phone.is_ios:
            self._row(f"{who}: {LRM}", f"<{self._phone.attached}: 00000042-PHOTO-2023-08-01-10-00-00.jpg>", LRM)
        else:
            name = self._chance.choice(("PTT-20230801-WA0003.opus", "Nell.vcf", "my notes.txt"))
            self._row(f"{who}: ", f"{name} ({self._phone.attached})" + self._chance.choice(("", f"\n{name}")))

    def _document(self, who: str) -> None:
        if self._phone.is_ios:
            pages = self._chance.choice((f"{LRM}14 pages ", f"{LRM}1{NBSP}Seite ", ""))
            end = self._chance.choice((f"{LRM}document omitted", f"{LRM}<{self._phone.attached}: 00000004-lease.pdf>"))
            self._row(f"{who}: ", f"lease.pdf • {pages}{end}", LRM)
        else:
            self._row(f"{who}: ", f"{self._phone.media}\nthe lease.pdf")

    def _deleted(self, who: str) -> None:
        words = self._chance.choice((self._phone.deleted, self._phone.mine_deleted, self._phone.waiting))
        self._row(f"{who}: {LRM if self._phone.is_ios else ''}", words)

    def _edited(self, who: str) -> None:
        text = self._chance.choice(("I mean Tuesday", "one\ntwo"))
        mark = LRM if self._phone.is_ios else ""
        self._speech(who, text, f"{text} {mark}{self._phone.edited}")

    def _place(self, who: str) -> None:
        mark = LRM if self._phone.is_ios else ""
        link = "https://maps.google.com/?q=50.1,-8.6"
        self._row(f"{who}: {mark}", self._chance.choice((f"{self._phone.place}: {link}", self._phone.live)))

    def _poll(self, who: str) -> None:
        mark = LRM if self._phone.is_ios else ""
        head, option, votes = self._chance.choice(
            (("POLL", "OPTION", "2 votes"), ("UMFRAGE", "OPTION", "2 Stimmen"), ("ENCUESTA", "OPCIÓN", "1 voto"))
        )
        if self._phone.encoding == "cp1252":
            head, option, votes = "POLL", "OPTION", "2 votes"
        options = "\n".join(f"{mark}{option}: {day} ({mark}{votes})" for day in ("Monday", "Tuesday (late)"))
        self._row(f"{who}: {mark}", f"{head}:\nWhich day?\n{options}" + ("" if mark else "\n"))

    def _call(self, who: str) -> None:
        mark = LRM if self._phone.is_ios else ""
        self._row(f"{who}: {mark}", self._phone.missed)

    def _empty(self, who: str) -> None:
        self._row(f"{who}: ", self._chance.choice(("", "null")) if not self._phone.is_ios else "")
