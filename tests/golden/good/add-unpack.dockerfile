FROM debian
ADD --unpack=true https://example.com/x.tar.gz /x
ADD --unpack=false y.tar.gz /y
ADD --link --exclude=doc z.tar /z
