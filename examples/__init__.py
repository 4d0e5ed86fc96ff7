"""Example studies; `dyadlog init DIR --example NAME` copies one."""
