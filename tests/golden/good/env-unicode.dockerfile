FROM debian
ENV GRÜSSE="Grüße, 世界" EMOJI=🚢
