FROM debian
CMD ['single', 'quotes']
