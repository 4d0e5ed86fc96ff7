"""What is produced: event log, marts, quality reports. Plain functions; imports only `schemas`."""
