"""What is allowed: envelope, event types, instruments, study protocol, codes, mart contracts.

Imports nothing from `assets` or `orchestration`.
"""
