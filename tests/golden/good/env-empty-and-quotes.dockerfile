FROM debian
ENV A="" B='' C="'" D='"' E="a'b"'c"d'
