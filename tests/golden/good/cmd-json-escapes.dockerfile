FROM debian
CMD ["tab\there", "quote\"", "uni\u00e9", "back\\slash"]
