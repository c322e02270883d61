FROM debian
ADD --keep-git-dir=true https://github.com/example/repo.git#v1.0 /src
ADD git@github.com:example/repo.git /src2
