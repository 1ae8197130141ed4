"""The command line: from words to a checked config, and what each verb prints."""
