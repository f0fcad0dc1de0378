"""Tuned models of a provider that ends them: what there is, what can be fetched, what they answer, who follows them.

inventory.py and fetch.py only read from the account. asking.py is the one place that asks for answers, which cost
money; ledger.py remembers each of them. Everything lies in one private folder, a folder in it for each model.
"""
