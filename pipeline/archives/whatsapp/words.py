"""What WhatsApp itself writes into exports, by language: short phrases, collected from exports and from its settings.

Each is without the marks of direction, the brackets and the full stop around it, which differ by phone and version.
"""


def _words(text: str) -> frozenset[str]:
    """The phrases between bars, or at the ends of lines, in small letters."""
    return frozenset(each.strip().casefold() for line in text.split("\n") for each in line.split(" | ") if each.strip())


def _titles(text: str) -> tuple[str, ...]:
    """The same, as they are written."""
    return tuple(each.strip() for line in text.split("\n") for each in line.split(" | ") if each.strip())


MEDIA = _words("""
    Archivo multimedia omitido | Archivo omitido | Arquivo de mídia oculto | Bez multivides | Bỏ qua Media
    bỏ qua tệp phương tiện | Conținut media omis | datoteke izpuščene | Fayl o‘tkazib yuborildi
    Ficheiro multimédia oculto | Ficheiro não revelado | Fichier multimédia omis | Fichier omis
    fitxers multimèdia omesos | Hiányzó médiafájl | inalis ang media | media buraxıldı | media dikecualikan
    Media disingkirkan | Media har utelämnats | media hazijajumuishwa | Media hequr | Media imerukwa
    media jätettiin pois | Media jätetty pois | media omessi | Media omesso | Media omitted | Media tidak disertakan
    media u hoq | media utelatt | media utelämnades | media utelämnat | Media weggelaat | Media weggelaten
    Media çıxarılmışdır | Mediefil udeladt | medien ausgeschlossen | Medien weggelassen | medier udeladt
    Medij izpuščen | medija praleista | Medijski zapis izostavljen | Medya atlanmış | medya dahil edilmedi
    meedia välja jäetud | Meedia ära jäetud | Mitjans omesos | multimedia omitido | Multimédia omitida
    média elhagyva | média omis | Média vynechána | média vynechány | médias omis | Médiá vynechané | Mídia oculta
    Mídia omitida | nav iekļauta multivide | Pa media | pliki pominięto | pominięto multimedia
    Praleistas medijos turinys | Uten vedlegg | Walang kalakip na media | αρχείο παραλήφθηκε | Εξαίρεση πολυμέσων
    Παραλείπεται το πολυμέσο | Παραλείφθηκαν πολυμέσα | без медиафайлов | Без файл | Без фајл | без фајлови
    медији су изостављени | Медіа пропущено | медіафайл пропущено | Файл пропущен | Файл қосылған жоқ
    файлдар қосылмаған | המדיה לא נכללה | מדיה הושמטה | تم استبعاد الوسائط | رسانه حذف شد | میڈیا چھوڑ دیا گیا
    میڈیا ہٹا دیا گیا | پيوست نما/آهنگ حذف شد | मीडिया के बिना | मीडिया को छोड़ दिया गया | मीडिया छोड़ा गया
    मीडिया वगळण्यात आला | मीडिया वगळले | মিডিয়া বাদ দেওয়া হয়েছে | ਮੀਡੀਆ ਛੱਡਿਆ | ਮੀਡੀਆ ਛੱਡਿਆ ਗਿਆ
    મિડિયા છોડી મૂકાયું | મીડિયા અવગણવામાં આવ્યા | મીડિયા અવગણાયું | ஊடகங்கள் நீக்கப்பட்டது | கோப்புகள் விடப்பட்டன
    మాధ్యమం విస్మరించబడింది | మీడియా విస్మరించబడింది | ಮಾಧ್ಯಮ ಕೈಬಿಡಲಾಗಿದೆ | ಮೀಡಿಯಾ ಕೈಬಿಡಲಾಗಿದೆ | മീഡിയ ഒഴിവാക്കി
    สื่อถูกลบ | ไฟล์สื่อถูกลบ | ບໍ່ລວມມີເດຍ | メディアなし | メディアは含まれていません | 多媒體檔案已省略
    媒体已省略 | 媒体文件已省略 | 媒體已略去 | 已略去媒体文件 | 忽略多媒體檔 | 略過多媒體檔 | 省略多媒体文件
    미디어 제외됨 | 미디어 파일 제외됨 | 미디어 파일을 생략한 대화내용
""")
"""What stands in angle brackets for a file that was not exported, on Android."""

OMITTED = _words("""
    adhesiu omès | afbeelding weggelaten | audio omesso | audio omis | audio omitido | audio omitted
    audio pominięte | audio tidak dimasukkan | audio tidak disertakan | Audio weggelassen | audio weggelaten
    belge dahil edilmedi | bild utesluten | Bild weggelassen | bilde ikke inkludert | billede udeladt
    Bỏ qua thẻ liên lạc | bỏ qua tệp âm thanh | Carte de vizită contact omisă | Cartão do contato omitido
    clip video omis | comhad fuaime ar lár | Contact card omitted | Contacto não revelado | cáipéis ligthe ar lár
    Cárta teagmhála ar lár | document manquant | document omis | document omitted | Document omès
    document weggelaten | documento não revelado | documento omesso | documento omitido | dokumen tidak dimasukkan
    dokumen tidak disertakan | dokument izostavljen | dokument pominięty | dokument udeladt | dokument uteslutet
    dokument vynechaný | dokument vynechán | Dokument weggelassen | dokumenttia ei sisällytetä | dokumentum kihagyva
    ei kuvaa | Fiche contact manquante | ficheiro de áudio não revelado | figurinha omitida
    fágadh an greamán ar lár | físeán ligthe ar lár | fără audio | gambar tidak disertakan | GIF dahil edilmedi
    GIF esclusa | GIF fájl kihagyása | GIF izostavljen | GIF ligthe ar lár | GIF não revelada | GIF omis
    GIF omitido | GIF omitted | GIF omès | GIF retiré | GIF tidak dimasukkan | GIF tidak disertakan | GIF udeladt
    GIF utelatt | GIF utesluten | GIF vynechaný | GIF vynechán | GIF weggelassen | GIF weggelaten | GIF отсутствует
    GIF הושמט | GIF حذف شد | GIF نظرانداز | GIF छोड़ा गया | GIF वगळले | GIF પડતી મૂકાઈ | GIF 动态图已被忽略
    GIF 圖片已被省略 | GIF 已略去 | GIF 생략됨 | GIF-animaatio jätetty pois | GIF-анімацію пропущено
    GIFは含まれていません | görüntü dahil edilmedi | Hang kihagyása | image absente | image omitted
    imagem não revelada | imagem ocultada | imagem omitida | imagen omitida | Imagine omisă | Imatge omesa
    imej tidak dimasukkan | immagine omessa | Kad kenalan tidak dimasukkan | Karta kontaktu vynechaná
    Kartu kontak tidak disertakan | Kişi kartı dahil edilmedi | klistermærke udeladt | klistremerke utelatt
    Kontaktkarte ausgelassen | Kontaktkort sløyfet | Kontaktkort udeladt | Kontaktkort uteslutet
    kuvaa ei sisällytetä | kép kihagyva | kép küldése sikertelen | ljud utelslutet | ljud uteslutet | lyd udeladt
    lyd utelatt | matrica kihagyva | mensagem de vídeo omitida | naljepnica izostavljena | nota de video omitida
    nálepka vynechaná | nálepka vynechána | Névjegykártya kihagyva | obraz pominięty | obrázek vynechán
    obrázok vynechaný | pelekat tidak disertakan | Plik GIF pominięty | Pominięta wizytówka kontaktu
    pominięto naklejkę | Posjetnica izostavljena | Scheda contatto omessa | ses dahil edilmedi | slika izostavljena
    sticker non incluso | sticker não revelado | sticker omis | sticker omitido | sticker omitted
    sticker utesluten | Sticker weggelassen | sticker weggelaten | stiker tidak disertakan
    Targeta de contacte omesa | Tarjeta de contacto omitida | tarra jätetty pois | tarraa ei sisällytetty
    utelatt dokument | video dahil edilmedi | video izostavljen | video message omitted | video note omitted
    video omesso | Video omitido | video omitted | video tidak dimasukkan | video tidak disertakan | video udeladt
    video utelatt | video utesluten | video vynechané | video vynecháno | Video weggelassen | video weggelaten
    videobericht weggelaten | Videonachricht weggelassen | videota ei sisällytetä | Videó kihagyva | vidéo absente
    view once message omitted | view once photo omitted | view once video omitted | view once voice message omitted
    Visitekaartje weggelaten | Vizitka vynechána | voice message omitted | vídeo não revelado | vídeo ocultado
    vídeo omitido | vídeo omès | wideo pominięte | Yhteystietokortti jätettiin pois | zvuk izostavljen
    zvuk vynechaný | zvukový soubor vynechán | Àudio omès | áudio ocultado | áudio omitido
    äänitiedostoa ei sisällytetä | Çıkartma dahil edilmedi | íomhá ligthe ar lár | đã bỏ qua hình ảnh
    đã bỏ qua tài liệu | Đã bỏ qua ảnh GIF | đã bỏ sticker | đã bỏ video | έγγραφο παραλείφθηκε | ήχος παραλείφθηκε
    αυτοκόλλητο παραλήφθηκε | βίντεο παραλείφθηκε | εικόνα παραλείφθηκε | Η κάρτα επαφής παραλήφθηκε | Παράληψη GIF
    аудиофайл отсутствует | аудіо відсутнє | видео отсутствует | відео відсутнє | документ отсутствует
    документ пропущено | зображення відсутнє | изображение отсутствует | Картка контакту відсутня
    Карточка контакта отсутствует | Наклейку не додано | стикер не добавлен | стикер отсутствует | התמונה הושמטה
    כרטיס איש קשר הושמט | מסמך הושמט | סטיקר הושמט | סרטון הווידאו הושמט | קטע קול הושמט | آڈیو نظرانداز
    استیکر حذف شد | اسٹیکر نظرانداز | برگ مخاطب حذف شد | تصویر حذف شد | تصویر نکال دی گئی ہے | تم حذف الملصقات
    دستاویز نظرانداز | رابطہ کارڈ نظر انداز | سند حذف شد | صدا حذف شد | لم يتم إدراج الصورة
    لم يتم إدراج الفيديوهات | لم يتم إدراج المستند | لم يتم إدراج المقاطع الصوتية | لم يتم إدراج بطاقة جهة اتصال
    لم يتم إدراج صورة GIF | ویدیو حذف شد | ویڈیو نظرانداز | इमेज वगळली | ऑडिओ वगळला | ऑडियो हटाई गयी
    कॉन्टैक्ट कार्ड छोड़ा गया | डॉक्युमेंट वगळले | डॉक्यूमेंट छोड़ा गया | फ़ोटो हटाई गई | वीडियो छोड़ा गया
    व्हिडीओ वगळला | संपर्क कार्ड वगळले | स्टिकर छोड़ा गया | स्टिकर वगळले | অডিও বাদ দেওয়া হয়েছে
    ইমেজ বাদ দেওয়া হয়েছে | জিআইএফ বাদ দেওয়া হয়েছে | ডকুমেন্ট বাদ দেওয়া হয়েছে
    পরিচিতির কার্ড বাদ দেওয়া হয়েছে | ভিডিও বাদ দেওয়া হয়েছে | স্টিকার বাদ দেওয়া হয়েছে
    ઓડિયો ફાઇલ શામેલ કરી નથી | છબી પડતી મૂકાઈ | ડોક્યુમેન્ટ સામેલ કર્યું નહિ | વિડિયો પડતી મુકાઈ
    સંપર્કનું કાર્ડ પડતું મૂકાયું | સ્ટીકર પડતું મુકાયું | บัตรรายชื่อที่ละเว้น | ละเว้น GIF | ละเว้นเอกสาร
    วิดีโอถูกลบ | ไม่มีรูปภาพ | ไม่มีสติกเกอร์ | ไม่มีไฟล์เสียง | スタンプは含まれていません
    ステッカーは含まれていません | ドキュメントは含まれていません | ビデオは含まれていません
    動画は含まれていません | 圖像已省略 | 圖片已略去 | 影片已略去 | 影片已省略 | 文件已忽略 | 文件已略去
    文档已省略 | 照片已忽略 | 画像は含まれていません | 联系人卡片已忽略 | 聯絡人卡片已略去 | 聯絡人卡片已省略
    视频已忽略 | 貼圖已忽略 | 貼圖已略去 | 贴图已省略 | 連絡先カードを省略 | 音声は含まれていません | 音訊已略去
    音訊已省略 | 音频已忽略 | 동영상 생략됨 | 문서 생략됨 | 비디오 생략됨 | 스티커 생략됨 | 스티커 제외됨
    연락처 카드 생략됨 | 오디오 생략됨 | 이미지 생략됨
""")
"""The same on an iPhone, without brackets and by kind."""

ATTACHED = _words("""
    archivo adjuntado | archivo adjunto | arquivo anexado | arxiu adjunt | bestand bijgevoegd | bifogad fil
    byla prisegta | Datei angehängt | datoteka u privitku | dosya eklendi | dosya ekli | fail dilampirkan
    fail lisatud | faili limeambatanishwa | fayl biriktirildi | fayl əlavə olunub | ficheiro anexado | fichier joint
    fil vedhæftet | file allegato | file attached | file terlampir | fișier atașat | fájl csatolva | liitetiedosto
    lêer aangeheg | nakalakip na file | pievienots fails | plik załączony | prikvačen fajl | priložena datoteka
    skedë e ngjitur | soubor byl přiložen | súbor pripojený | tiedosto liitetty | tệp đính kèm | vedlagt fil
    załączony plik | συνημμένο αρχείο | прикачен файл | прикачен фајл | прикачена датотека | файл вложен
    файл добавлен | файл додано | қосымша файл | קובץ מצורף | الملف مرفق | پیوستہ فائل | फाइल अटैच कर दी गई है
    फाइल संलग्न | ফাইল সংযুক্ত হয়েছে | ਅਟੈਚ ਕੀਤੀ ਫਾਇਲ | ફાઇલ જોડાયેલ | ఫైల్ జోడించబడినది | ಕಡತ ಸೇರಿಸಲಾಯಿತು
    ഫയൽ ചേർത്തു | ไฟล์ที่แนบ | ファイル添付 | 文件已附加 | 文件附件 | 檔案已附加 | 添付ファイル有り | 附件已加入
    附件檔案 | 첨부 파일 | 파일 첨부됨
""")
"""What stands in brackets after the name of a file that was exported, on Android."""

DELETED = _words("""
    Acest mesaj a fost șters | Ai șters acest mesaj | Anda menghapus pesan ini | Anda telah memadamkan mesej ini
    Anda telah menghapus pesan ini | Apagou esta mensagem | Aquest missatge està esborrat
    Aquest missatge s'ha suprimit | Ați șters acest mesaj | Binura mo itong mensahe | Bu ismarıc silindi
    Bu mesaj silindi | Bu mesajı sildiniz | Bạn đã xoá tin nhắn này | Bạn đã xóa tin nhắn này
    Ce message a été supprimé | Denne besked blev slettet | Denne besked er blevet slettet
    Denne meldingen ble slettet | Det här meddelandet raderades | Det här meddelandet togs bort
    Detta meddelande raderades | Diese Nachricht wurde gelöscht | Dit bericht is verwijderd
    Du har slettet denne besked | Du har tagit bort meddelandet | Du hast diese Nachricht gelöscht
    Du raderade det här meddelandet | Du raderade detta meddelande | Du slettede denne besked
    Du slettet denne meldingen | Du tog bort det här meddelandet | Eliminaste este mensaje
    Elimini questo messaggio | Eliminou esta mensagem | Esta mensagem foi apagada
    Esta mensagem foi apagada pelo remetente | Esta mensagem foi eliminada | Este mensaje fue eliminado
    Ez az üzenet törlésre került | Ezt az üzenetet törölted | Hai eliminato questo messaggio
    Has esborrat aquest missatge | Has suprimit aquest missatge | Hierdie boodskap was uitgevee
    Itong mensahe ay binura na | Izbrisali ste ovu poruku | Je hebt dit bericht verwijderd
    Jy het boodskap uitgevee | Jūs izdzēsāt šo ziņu | Jūs ištrynėte šią žinutę | Kamu telah menghapus pesan ini
    Kustutasid selle sõnumi | Mensagem apagada | Mesej ini telah dipadam | Message deleted | Obrisali ste ovu poruku
    Ova poruka je izbrisana | Ova poruka je obrisana | Pesan ini dihapus | Pesan ini telah dihapus
    Poistit tämän viestin | Questo messaggio è stato eliminato | Sa kustutasid selle sõnumi
    Scrios tú an teachtaireacht seo | Scriosadh an teachtaireacht seo | Se eliminó este mensaje
    See sõnum on kustutatud | Siz bu ismarıcı sildiniz | Siz ushbu xabarni o‘chirdingiz | Smazali jste tuto zprávu
    Sõnum kustutati | Ta wiadomość została usunięta | Tato zpráva byla odstraněna | Tato zpráva byla smazána
    This message was deleted | This message was deleted by admin | This message was deleted by an admin
    This message was deleted for everyone | Tin nhắn này đã bị xoá | Tin nhắn này đã bị xóa
    To sporočilo je bilo izbrisano | To sporočilo ste izbrisali | Tuto zprávu jste odstranil/a
    Tuto zprávu jste smazal/a | Táto správa bola odstránená | Tämä viesti poistettiin | Törölted ezt az üzenetet
    Túto správu ste odstránili | U hebt dit bericht verwijderd | Ujumbe huu ulifutwa | Umefuta ujumbe huu
    Ushbu xabar o‘chirildi | Usunięto tę wiadomość | Usunąłeś tę wiadomość | Usunąłeś(-ęłaś) tę wiadomość
    Usunąłeś(aś) tę wiadomość | Usunęłaś tę wiadomość | Você apagou esta mensagem | Vous avez supprimé ce message
    You deleted this message | You deleted this message as admin | You deleted this message for everyone
    Ši žinutė buvo ištrinta | Šis ziņojums tika dzēsts | Šī ziņa tika izdzēsta | Αυτό το μήνυμα διαγράφηκε
    Διαγράψατε αυτό το μήνυμα | Διαγράψατε το μήνυμα | Бұл хат жойылды | Ви видалили це повідомлення
    Вие изтрихте това съобщение | Вы удалили данное сообщение | Вы удалили это сообщение | Данное сообщение удалено
    Изтрихте това съобщение | Обрисао/ла си ову поруку | Ова порука је обрисана | Оваа порака беше избришана
    Съобщението беше изтрито | Съобщението е изтрито | Сіз бұл хатты жойдыңыз | Це повідомлення було видалено
    Ја избриша оваа порака | הודעה זו נמחקה | מחקת הודעה זו | آپ نے اس پیغام کو حذف کیا
    آپ نے یہ میسج حذف کر دیا ہے | أنت حذفت هذه الرسالة | این پیام حذف شد | این پیام حذف شده است | تم حذف هذه الرسالة
    شما این پیام را حذف کردید | لقد حذفت هذه الرسالة | لقد حذَفت هذه الرسالة | یہ میسج حذف کر دیا گیا ہے
    یہ پیغام حذف کیا گیا | आपण हा संदेश हटविलात | आपने यह मैसेज डिलीट किया | आपने यह मैसेज हटाया
    आपने यह संदेश मिटाया | तुम्ही हा मेसेज हटवला | यह मैसेज डिलीट कर दिया गया है | यह मैसेज हटा दिया गया
    यह संदेश मिटाया गया | हा मेसेज हटवण्यात आला | हा संदेश हटविण्यात आला होता | আপনি এই বার্তাটি মুছে ফেলেছেন
    আপনি এই মেসেজটি বাদ দিয়েছেন | এই বার্তাটি মুছে ফেলা হয়েছে | এই মেসেজটি বাদ দেওয়া হয়েছে
    ਇਸ ਸੁਨੇਹੇ ਨੂੰ ਹਟਾਇਆ ਗਿਆ | ਤੁਸੀਂ ਇਹ ਸੁਨੇਹਾ ਹਟਾਇਆ | આ મેસેજ ડિલીટ કરાયો | આ સંદેશ રદ્દ કરાયો
    તમે આ મેસેજ ડિલીટ કર્યો | તમે આ સંદેશને રદ્દ કર્યો | இத்தகவலை தாங்கள் அழித்தீர்கள்
    இத்தகவல் திரும்பப்பெறப்பட்டது | ಈ ಸಂದೇಶವು ಅಳಿಸಲ್ಪಟ್ಟಿದೆ | ನೀವು ಈ ಸಂದೇಶವನ್ನು ಅಳಿಸಿದ್ದೀರಿ
    ഈ സന്ദേശം ഇല്ലാതാക്കിയതാണ് | ഈ സന്ദേശം നിങ്ങൾ ഇല്ലാതാക്കി | ข้อความนี้ถูกลบแล้ว | ข้อความนี้ได้ถูกลบ
    คุณลบข้อความนี้ | คุณได้ลบข้อความนี้ | このメッセージは削除されました | このメッセージを削除しました
    你删除了这条消息 | 你已刪除此訊息 | 信息已删除 | 您删除这个信息 | 您已删除这条消息 | 您已刪除此訊息
    此消息已删除 | 此訊息已刪除 | 该消息已被删除 | 这条消息已被删除 | 삭제한 메시지입니다
    이 메시지는 삭제되었습니다 | 이 메시지를 삭제했습니다
""")
"""What stands for a message that was deleted."""

MISSED = _words("""
    Apel nepreluat | Apel video nepreluat | Apel video ratat | Apel vocal nepreluat | Apel vocal ratat
    Appel manqué | Appel vidéo manqué | Appel vocal manqué | Buraxılmış video zəng | Buraxılmış zəng
    Cevapsız arama | Cevapsız görüntülü arama | Cevapsız sesli arama | Chamada de voz perdida
    Chamada de vídeo perdida | Chamada perdida | Chiamata persa | Chiamata vocale persa | Cuộc gọi nhỡ
    Cuộc gọi nhỡ video | Cuộc gọi thoại nhỡ | Cuộc gọi video nhỡ | Gemist spraakgesprek | Gemist videogesprek
    Gemiste oproep | Gemiste spraakoproep | Gemiste video-oproep | Ligação de voz perdida | Ligação de vídeo perdida
    Ligação perdida | Llamada de voz perdida | Llamada perdida | Missat röstsamtal | Missat samtal
    Missat videosamtal | Missed call | Missed group video call | Missed group voice call | Missed video call
    Missed voice call | Mistede video opkald | Mistet opkald | Mistet taleopkald | Nakaligtaang video call
    Nakaligtaang voice call | Neatbildēts balss zvans | Neatbildēts video zvans | Nem fogadott hanghívás
    Nem fogadott videóhívás | Neodgovorjen video klic | Nieodebrane poł. wideo | Nieodebrane połączenie
    Nieodebrane połączenie głosowe | Nieodebrane połączenie wideo | O‘tkazib yub. ovozli qo‘ng‘iroq
    O‘tkazib yub. videoqo‘ng‘iroq | Panggilan suara tak terjawab | Panggilan suara terlepas | Panggilan tak terjawab
    Panggilan video tak terjawab | Panggilan video terlepas | Praleistas balso skambutis
    Praleistas video skambutis | Propušten glasovni poziv | Propušten video poziv | Propušteni glasovni poziv
    Propušteni videopoziv | Simu ya sauti uliyoikosa | Simu ya video uliyoikosa | Stemoproep gemis | Tapt taleanrop
    Tapt videoanrop | Tapt videosamtale | Thirrje e shmangur | Trucada de veu perduda | Trucada de vídeo perduda
    Trucada perduda | Ubesvaret opkald | Ubesvaret taleopkald | Ubesvaret videoopkald | Vastaamaton videopuhelu
    Vastaamaton äänipuhelu | Vastamata häälkõne | Vastamata videokõne | Verpasster Anruf | Verpasster Sprachanruf
    Verpasster Videoanruf | Video-oproep gemis | Videochamada perdida | Videochiamata persa | Videollamada perdida
    Videothirrje e shmangur | Videotrucada perduda | Zgrešen klic | Zmeškaný hlasový hovor | Zmeškaný hovor
    Zmeškaný videohovor | Αναπάντητη βιντεοκλήση | Αναπάντητη κλήση | Жауапсыз видео қоңырау | Жауапсыз қоңырау
    Пропуснато видео обаждане | Пропуснато гласово обаждане | Пропуштен видео повик | Пропуштен видео позив
    Пропуштен гласовен повик | Пропуштен гласовни позив | Пропущений аудіодзвінок | Пропущений відеодзвінок
    Пропущенный аудиозвонок | Пропущенный видеозвонок | Пропущенный вызов | Пропущенный звонок
    שיחה קולית שלא נענתה | שיחה שלא נענתה | שיחת וידאו שלא נענתה | تماس تصویری بیپاسخ | تماس تصویری پاسخ داده نشده
    تماس صوتی پاسخ داده نشده | مكالمة صوتية فائتة | مكالمة فيديو فائتة | چھوٹی ہوئی صوتی کال | چھوٹی ہوئی ویڈیو کال
    छूटी हुई ध्वनि कॉल | छूटी हुई विडियो कॉल | मिस्ड वीडियो कॉल | मिस्ड वॉइस कॉल | मिस्ड व्हिडिओ कॉल
    मिस्ड व्हॉइस कॉल | वॉइस कॉल मिस हुई | মিস করা ভিডিও কল | মিসড ভয়েস কল | ਮਿਸ ਹੋਈ ਆਵਾਜ਼ ਕਾਲ | ਮਿਸ ਹੋਈ ਵੀਡੀਓ ਕਾਲ
    છૂટી ગયેલ ધ્વનિ કૉલ | છૂટી ગયેલ વિડિઓ કૉલ | தவறிய காணொலி அழைப்பு | தவறிய குரல் அழைப்பு | తప్పిన వీడియోకాల్
    మిస్సేడ్ వాయిస్ కాల్ | ತಪ್ಪಿದ ದೃಶ್ಯ ಕರೆ | ತಪ್ಪಿದ ಧ್ವನಿ ಕರೆ | നഷ്ടമായ വീഡിയോ കാൾ | വിളി നഷ്ടപ്പെട്ടു
    วิดีโอคอลที่ไม่ได้รับ | สายที่ไม่ได้รับ | สายสนทนาด้วยเสียงที่ไม่ได้รับ | สายโทรวิดีโอที่ไม่ได้รับ
    ビデオ通話不在着信 | 不在着信 | 未接視像通話 | 未接視訊來電 | 未接视频通话 | 未接語音來電 | 未接語音通話
    未接语音通话 | 音声通話不在着信 | 부재중 영상 통화 | 부재중 영상통화 | 부재중 음성 통화 | 부재중 음성통화
    부재중 전화
""")
"""A call that nobody took."""

CALLS = _words("""
    Apel video | Apel vocal | Appel vidéo | Appel vocal | Chamada de voz | Chamada de vídeo | Chiamata vocale
    Group call | Gruppenanruf | Görüntülü arama | Hanghívás | Hlasový hovor | Ligação de voz | Ligação de vídeo
    Llamada de voz | Llamada grupal | Panggilan suara | Panggilan video | Połączenie głosowe | Połączenie wideo
    Röstsamtal | Sesli arama | Spraakgesprek | Spraakoproep | Sprachanruf | Taleanrop | Taleopkald | Video call
    Video-oproep | Videoanrop | Videoanruf | Videochamada | Videochiamata | Videogesprek | Videohovor | Videollamada
    Videoopkald | Videopuhelu | Videosamtal | Videóhívás | Voice call | Äänipuhelu | Аудиозвонок | Аудіодзвінок
    Видеозвонок | Відеодзвінок | Голосовий виклик | שיחה קולית | שיחת וידאו | مكالمة صوتية | مكالمة فيديو
    वीडियो कॉल | वॉइस कॉल | ビデオ通話 | 視訊通話 | 视频通话 | 語音通話 | 语音通话 | 音声通話 | 영상 통화
    음성 통화
""")
"""A call; followed by how long it was, or how it ended."""

WAITING = _words("""
    A aguardar esta mensagem | A aguardar pela mensagem | Aguardando esta mensagem | Aguardando mensagem
    Bu ismarıc üçün gözlənilir | Bu mesaj bekleniyor | Duke pritur mesazhin | En attente de ce message
    Esperando el mensaje | Esperando este mensaje | Esperando mensaje | Esperant aquest missatge | Gaida uz ziņu
    Hinihintay ang mensahe | In attesa del messaggio | In attesa di questo messaggio | Inasubiri ujumbe huu
    Laukiama šios žinutės | Menunggu mesej ini | Menunggu pesan ini | Mesaj bekleniyor | Oczekiwanie na tę wiadomość
    Oczekiwanie na wiadomość | Odotetaan tätä viestiä | Odotetaan viestiä | Ootab seda sõnumit
    Ushbu xabar kutilmoqda | Venter på denne besked | Venter på denne meldingen | Várakozás az üzenetre
    Väntar på det här meddelandet | Väntar på detta meddelande | Wachten op dit bericht
    Wag nog vir hierdie boodskap | Waiting for this message | Warte auf diese Nachricht | Warten auf diese Nachricht
    În așteptarea mesajului | Čakanje na sporočilo | Čaká sa na túto správu | Čekam ovu poruku
    Čekání na tuto zprávu | Đang chờ tin nhắn này | Αναμονή για αυτό το μήνυμα | Изчакване на съобщението
    Ожидание данного сообщения | Ожидание сообщения | Осы хат күтілуде | Очікування повідомлення | Се чека пораката
    Чекање на ову поруку | ממתין להודעה זו
    اس پیغام کے منتظر ہیں۔ اس میں کچھ وقت لگ سکتا ہے۔<a href=\"%s\">مزید جانیں</a>۔ | در انتظار برای این پیام
    في انتظار هذه الرسالة، قد يستغرق ذلك بعض الوقت | इस मैसेज का इंतज़ार है | या संदेशाची वाट बघत आहोत
    संदेश की प्रतीक्षा में | বার্তাটির জন্য অপেক্ষা করা হচ্ছে | ਇਸ ਸੁਨੇਹੇ ਦੀ ਉਡੀਕ ਕੀਤੀ ਜਾ ਰਹੀ ਹੈ
    આ સંદેશ માટે રાહ જોવાઈ રહી છે | இத்தகவலுக்கு காத்திருக்கிறோம் | ఈ సందేశం కోసం వేచి ఉన్నాము
    ಈ ಸಂದೇಶಕ್ಕಾಗಿ ಕಾಯಲಾಗುತ್ತಿದೆ | ഈ സന്ദേശത്തിനായി കാത്തിരിക്കുന്നു | กำลังรอข้อความนี้ อาจใช้เวลาสักครู่
    このメッセージを待っています | 正在等待信息，此可能需要一段时间 | 正在等待此消息 | 正在等待此訊息
    正在等待訊息，此可能需要一段時間 | 等待此訊息 | 메시지 암호화 대기중입니다 | 메시지를 기다리는 중
    이 메시지를 기다리는 중입니다
""")
"""A message that the phone has not been able to read; its first sentence."""

NOTICES = _words("""
    as mensagens e as chamadas são protegidas | as mensagens e chamadas são encriptadas
    as mensagens e chamadas são protegidas | as mensagens e ligações são protegidas
    az üzenetek és hívások végpontok | berichten en gesprekken worden end-to-end
    berichten en oproepen worden end-to-end | beskeder og opkald er end-to-end
    els missatges i les trucades estan xifrats | i messaggi e le chiamate sono crittografati
    les messages et appels sont chiffrés | les messages et les appels sont chiffrés
    los mensajes y las llamadas están cifrados | los mensajes y llamadas están cifrados
    meddelanden och samtal är komplett krypterade | meddelanden och samtal är totalsträckskrypterade
    meldinger og samtaler er ende-til-ende | mesajele și apelurile sunt criptate | mesajlar ve aramalar uçtan uca
    mesej dan panggilan disulitkan | messages and calls are end-to-end encrypted
    messages to this chat and calls are now secured | messages to this group are now secured
    messages you send to this | nachrichten und anrufe sind ende-zu-ende | pesan dan panggilan terenkripsi
    poruke i pozivi zaštićeni su | správy a hovory sú zabezpečené šifrovaním | tin nhắn và cuộc gọi được mã hóa
    viestit ja puhelut salataan | wiadomości i połączenia są w pełni | zprávy a hovory jsou opatřeny koncovým
    τα μηνύματα και οι κλήσεις κρυπτογραφούνται | повідомлення й дзвінки захищено
    сообщения и звонки защищены сквозным | ההודעות והשיחות מוצפנות מקצה | الرسائل والمكالمات مشفرة
    پیامها و تماسها سرتاسر | मैसेजेस और कॉल्स एंड-टू-एंड | ข้อความและการโทรได้รับการเข้ารหัส
    メッセージと通話はエンドツーエンド暗号化 | 消息和通话已进行端到端加密 | 消息和通话都进行端到端加密
    訊息和通話經端對端 | 訊息已受端對端加密 | 메시지 및 전화는 종단간 암호화 | 메시지와 통화는 종단간 암호화
""")
"""How it begins that a chat is encrypted; iPhones write a name before it."""

LIVE = _words("""
    bola zdieľaná aktuálna poloha | byla sdílena aktuální poloha | canlı konum paylaşıldı | canlı məkan paylaşılıb
    Está a partilhar a sua localização | hetke asukoht jagatud | ibinahagi ang live na lokasyon
    jonli joylashuv ulashildi | live locatie gedeeld | live location shared | live placering delt
    live-sijainti jaettu | Live-Standort geteilt | Live-Standort wird geteilt | liveposition delad
    Localisation en direct partagée | localização atual compartilhada | localização em tempo real compartilhada
    localização em tempo real partilhada | locație în timp real distribuită | lokacija v živo je bila deljena
    Lokasi terkini dibagikan | lokasi terkini dikongsi | mahali mubashara pameshirikishwa | Mevcut konum paylaşıldı
    posisjon i sanntid delt | position en direct partagée | posizione attuale condivisa
    posizione in tempo reale condivisa | regstreekse ligging gedeel | reāllaika atrašanās vieta
    tartózkodási hely megosztva | tiesioginė vieta bendrinama | trenutna lokacija podijeljena
    Ubicació en directe compartida | ubicación en tiempo real compartida | udostępniona transmisja położenia
    udostępniono lokalizację na żywo | vendnodhja aktuale u shpërnda | vị trí hiện thời được chia sẻ
    η τωρινή τοποθεσία κοινοποιήθηκε | Геоданные отправлены | геодані надіслано | Локација уживо подељена
    местоположение в реално време споделено | споделено локација во живо | қазіргі орынмен бөлісті
    משתף מיקום בשידור חי | تمت مشاركة الموقع المباشر | جاری مقام کا اشتراک ہوا | مکان زنده به اشتراک گذاشته شد
    लाइव स्थान साझा किया गया | सध्याचे थेट ठिकाण शेअर केले | লাইভ অবস্থান শেয়ার করা হয়েছে
    ਮੌਜੂਦਾ ਟਿਕਾਣਾ ਸਾਂਝਾ ਕੀਤਾ | જીવંત સ્થાન શેર કરાયું | இடம் நேரலையாக பகிரபட்டது | ప్రత్యక్ష స్థాన భాగస్వామ్యం
    ನೇರ ಸ್ಥಳ ಹಂಚಿಕೊಳ್ಳಲಾಗಿದೆ | ലൈവ് ലൊക്കേഷൻ പങ്കിട്ടു | ตำแหน่งปัจจุบันถูกแบ่งปัน | ライブロケーション共有
    共享实时位置 | 即時位置已分享 | 实时位置已共享 | 實時位置已分享 | 공유한 실시간 위치
""")
"""Where somebody is, followed for a while."""

PLACES = _words("""
    asukoht | atrašanās vieta | buvimo vieta | emplacement | Helyzet | joylashuv | konum | ligging | localisation
    localització | localizacion | localização | locatie | location | locație | lokacija | Lokalizacja | lokasi
    lokasyon | Mahali | məkan | placering | plats | poloha | posisjon | posizione | położenie | sijainti | Standort
    ubicació | ubicación | Vendndodhja | vị trí | τοποθεσία | Геопозиция | локација | местоположение
    місцезнаходження | орналасуы | מיקום | الموقع | مقام | موقعیت | लोकेशन | स्थान | অবস্থান | ਟਿਕਾਣਾ | સ્થળ
    இருப்பிடம் | స్థలం | ಸ್ಥಳ | സ്ഥലം | ตำแหน่งที่ตั้ง | 位置 | 位置情報 | 위치
""")
"""What stands before the link to a place."""

EDITED = _words("""
    Bu mesaj düzenlendi | Ce message a été modifié
    Denne besked blev redigeret | Denne besked er redigeret | Denne meldingen ble redigert
    Denne meldingen er redigert | Det här meddelandet har redigerats | Det här meddelandet redigerades
    Detta meddelande redigerades | Diese Nachricht wurde bearbeitet | Dit bericht is bewerkt | Dit bericht werd bewerkt
    Esta mensagem foi editada | Este mensaje fue editado | Este mensaje se editó | Ez az üzenet szerkesztve lett
    Acest mesaj a fost editat | Aquest missatge s'ha editat | Mensagem editada | Mensaje editado | Message edited
    Mesej ini telah diedit | Messaggio modificato | Nachricht bearbeitet | Ova poruka je izmijenjena
    Ova poruka je uređena | Pesan ini diedit | Pesan ini telah diedit | Questo messaggio è stato modificato
    Se editó este mensaje | Se modificó este mensaje | Ta wiadomość została edytowana
    Ta wiadomość została zedytowana | Ta wiadomość została zmieniona | Tato zpráva byla upravena
    Táto správa bola upravená | This message has been edited | This message is edited | This message was edited
    Tin nhắn này đã được chỉnh sửa | To sporočilo je bilo urejeno | Tätä viestiä muokattiin | Tätä viestiä on muokattu
    You edited this message | Zedytowano tę wiadomość | Üzenet szerkesztve | Αυτό το μήνυμα τροποποιήθηκε
    Το μήνυμα υπέστη επεξεργασία | Αυτό το μήνυμα έχει υποστεί επεξεργασία | Данное сообщение изменено
    Это сообщение было изменено | Сообщение изменено | Сообщение отредактировано | Това съобщение беше редактирано
    Съобщението е редактирано | Це повідомлення було змінено | Це повідомлення змінено | Повідомлення змінено
    Повідомлення відредаговано | ההודעה נערכה | הודעה זו נערכה | تم تعديل هذه الرسالة | این پیام ویرایش شد
    این پیام ویرایش شده است | اس پیغام میں ترمیم کی گئی | यह मैसेज एडिट किया गया | यह मैसेज एडिट किया गया था
    यह संदेश संपादित किया गया | हा मेसेज संपादित केला | এই মেসেজটি এডিট করা হয়েছে | แก้ไขข้อความนี้แล้ว
    ข้อความนี้ถูกแก้ไข | このメッセージは編集されました | このメッセージは編集済みです | 此消息已编辑 | 此消息已被编辑
    這則訊息已編輯 | 此訊息已編輯 | 此訊息已被編輯 | 이 메시지는 편집되었습니다
    이 메시지는 수정되었습니다 | 수정된 메시지입니다
""")
"""What stands in angle brackets behind a message that was edited.

Not each was seen in an export: some are translations, and other notes are known by coming again in a file.
"""

TITLES = _titles("""
    %s bilan WhatsApp chati | %s ile WhatsApp Sohbeti | %s ilə WhatsApp Söhbəti | %s کے ساتھ WhatsApp بات چیت
    %s के साथ WhatsApp चैट | %s सोबतच्या WhatsApp गप्पा | %s এর সাথে WhatsApp চ্যাট | %s ਨਾਲ WhatsApp ਗੱਲਬਾਤ
    %s સાથેની WhatsApp વાત | %s உடன் WhatsApp உரையாடல் | %s తో WhatsApp సంభాషణ | %s ಜೊತೆ WhatsApp ಸಂಭಾಷಣೆ
    %s മായുള്ള WhatsApp ചാറ്റുകൾ | %sとのWhatsAppチャット | %s님과의 WhatsApp 대화 | Biseda me %s në WhatsApp
    Chat WhatsApp avec %s | Chat WhatsApp con %s | Chat WhatsApp dengan %s | Chat WhatsApp s uživatelem %s
    Chat de WhatsApp amb %s | Chat de WhatsApp con %s | Conversa do WhatsApp - %s | Conversa do WhatsApp com %s
    Conversa no WhatsApp com %s | Conversație WhatsApp cu %s | Czat WhatsApp z %s | Czat WhatsApp z użytkownikiem %s
    Discussion WhatsApp avec %s | Sembang WhatsApp dengan %s | Soga za WhatsApp na %s | Trò chuyện WhatsApp với %s
    WhatsApp Chat - %s | WhatsApp Chat kay %s | WhatsApp Chat mit %s | WhatsApp Chat with %s
    WhatsApp Gesprek met %s | WhatsApp Sohbeti %s | WhatsApp chat med %s | WhatsApp chat s používateľom %s
    WhatsApp csevegés vele: %s | WhatsApp klepet z %s | WhatsApp pokalbis su %s | WhatsApp razgovor s %s
    WhatsApp sarakste ar %s | WhatsApp Ћаскање са %s | WhatsApp Чат с %s | WhatsApp разговор со %s
    WhatsApp чат: %s | WhatsApp 与 %s 的对话 | WhatsApp 與 %s 的對話 | WhatsApp'i vestlus kontaktiga %s
    WhatsApp-Chat mit %s | WhatsApp-chat med %s | WhatsApp-chat met %s | WhatsApp-chatt med %s
    WhatsApp-keskustelu henkilön %s kanssa | WhatsApp-keskustelu: %s | WhatsApp-samtale med %s
    Xat de WhatsApp amb %s | Συνομιλία WhatsApp με %s | Бесіда WhatsApp з %s | Чат WhatsApp с %s
    Чат WhatsApp с контактом %s | צ'אט WhatsApp עם %s | دردشة واتساب مع %s | گفتگوی WhatsApp با %s
    แชท WhatsApp กับ %s
""")
"""Names of exported files."""
