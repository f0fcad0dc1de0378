def recognise(members): return None
