FROM debian
ENV FILE=dir/name.tar.gz
ENV A=${FILE#*/} B=${FILE##*.} C=${FILE%.*} D=${FILE%%.*}
