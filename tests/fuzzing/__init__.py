"""Every parser that reads what others wrote, asked with nearly right bytes: `parsers` lists them, `mutating` makes the bytes."""
