"""The hands: one module per outside thing, each maps its library's errors to ours."""
