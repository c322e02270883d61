FROM debian
ENV ONE TWO= THREE=world
