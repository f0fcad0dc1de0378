"""What Meta lets people download of their chats: Messenger's two forms and Instagram's, which is like the first.

The download of an account ("classic") has a folder for each conversation, in it message_1.json (the newest messages)
to message_n.json; its texts are UTF-8 whose bytes were written as if each were a character. The download of end-to-end
encrypted chats has one NAME_3.json for each, other keys, and sound text.
"""
