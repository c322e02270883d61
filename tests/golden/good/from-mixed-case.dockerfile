From debian:12 As Base
Run true
