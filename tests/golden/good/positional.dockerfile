FROM debian
ENV A=$1 B=$@ C=${0}
