"""finetune: a chat archive goes in, a model that talks like one of the people in it comes out."""

__version__ = "0.1.0"
