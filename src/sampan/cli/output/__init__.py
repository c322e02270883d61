"""How results are drawn: columns, sizes, ages, JSON in Go's form, tables with their fields. No requests here."""
