FROM debian
RUN <<"E O F"
echo
E O F
