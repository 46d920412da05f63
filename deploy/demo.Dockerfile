# The demo as an image: what a project's own Dockerfile looks like.
#
#   docker build -t lantern-lane -f deploy/demo.Dockerfile config/demo
FROM appliance
COPY --chown=10001:10001 . .
# Packages, and whether the application can be imported: while the image is built, not when it starts.
ENV DEMO_DATA=/srv/data APPLIANCE_PYTHON__REQUIREMENTS=backend/requirements-postgresql.txt
USER root
RUN install -d -o 10001 -g 10001 /srv/data
USER 10001:10001
RUN appliance rehearse --set 'hooks.before_start=["python manage.py collectstatic --noinput"]'
VOLUME /srv/data
ENV APPLIANCE_SITE__0__LISTEN=0.0.0.0:8080
