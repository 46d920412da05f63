#!/bin/sh
# Installs appliance on one machine with systemd: the binary, a user, a project folder and the unit.
# Run again it changes what differs and nothing else; it never touches a project file that is there.
#
#   sh deploy/install.sh --dry-run          what it would do
#   sudo sh deploy/install.sh               do it
#   sudo sh deploy/install.sh --uninstall   take it away, but for the project and its user
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
binary='' project=/srv/project user=appliance name=appliance root='' dry='' uninstall='' start=yes
changed=''

usage() {
    cat <<END
usage: install.sh [options]

  --binary FILE    the binary to install; else the one beside this script, or of \`cargo build --release\`
  --project DIR    the project's folder [/srv/project]
  --user NAME      whom it runs as, created if missing [appliance]
  --name NAME      of the unit, for several projects on one machine [appliance]
  --root DIR       install below DIR, for images and packages: no user is created, nothing started
  --no-start       enable nothing and start nothing
  --dry-run        print what would be done
  --uninstall      stop the unit and remove it and, with the last one, the binary
END
}

fail() { printf 'error: %s\n' "$1" >&2; [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2; exit 1; }
say() { printf '%s\n' "$*"; }
# Says what is done, and does it unless this is a rehearsal.
run() { changed=yes; say "$*"; [ -n "$dry" ] || "$@"; }

value() { [ "$#" -ge 2 ] && [ -n "$2" ] || fail "\`$1\` needs a value" 'see --help'; }
while [ "$#" -gt 0 ]; do
    case $1 in
        --binary) value "$@"; binary=$2; shift ;;
        --project) value "$@"; project=$2; shift ;;
        --user) value "$@"; user=$2; shift ;;
        --name) value "$@"; name=$2; shift ;;
        --root) value "$@"; root=${2%/}; shift ;;
        --no-start) start='' ;;
        --dry-run) dry=yes ;;
        --uninstall) uninstall=yes ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; fail "unknown option \`$1\`" ;;
    esac
    shift
done

# What goes into the unit unquoted, and to useradd, must be plain.
case $project in
    /*) ;;
    *) fail "\`--project\` must be an absolute path, found \`$project\`" ;;
esac
case $project in
    / | *[!A-Za-z0-9/._-]*) fail "\`--project\` may have letters, digits and \`/._-\`, found \`$project\`" ;;
esac
case $user in
    root) fail '`--user` must not be root: the point of it is that the site is not' ;;
    [a-z_]*) ;;
    *) fail "\`--user\` must begin with a small letter, found \`$user\`" ;;
esac
case $user$name in
    *[!A-Za-z0-9_-]*) fail '`--user` and `--name` may have letters, digits, `_` and `-`' ;;
esac
[ -z "$root" ] || [ -d "$root" ] || fail "\`--root\`: there is no folder \`$root\`"
[ -n "$dry$root" ] || [ "$(id -u)" = 0 ] ||
    fail 'only root can install' 'sudo, or --dry-run to see what it would do'

units=$root/etc/systemd/system
unit=$units/$name.service
target=$root/usr/local/bin/appliance
marker='# Installed by deploy/install.sh.'

# Whether there is a systemd to talk to: not in an image, not in a container without one.
systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

remove() {
    if [ -e "$unit" ] && ! grep -q "^$marker" "$unit"; then
        fail "\`$unit\` was not installed by this script" 'another --name?'
    fi
    if [ -e "$unit" ]; then
        if systemd; then run systemctl disable --now "$name.service"; fi
        run rm -f "$unit"
        if systemd; then run systemctl daemon-reload; fi
    fi
    # Others of its kind may still need the binary.
    others=$(grep -ls "^$marker" "$units"/*.service 2>/dev/null | grep -Fvx "$unit" || :)
    if [ -e "$target" ] && [ -z "$others" ]; then run rm -f "$target"; fi
    [ -n "$changed" ] || say 'nothing is installed'
    say "left alone: $project and the user $user"
}

# Replaces a file in one step, if it differs: a binary that runs cannot be written to.
place() { # mode, from, to
    if [ -e "$3" ] && cmp -s "$2" "$3"; then return; fi
    run mkdir -p "$(dirname "$3")"
    run install -m "$1" "$2" "$3.new"
    run mv -f "$3.new" "$3"
}

find_binary() {
    if [ -z "$binary" ]; then
        for candidate in "$here/appliance" "$here/../target/release/appliance"; do
            if [ -x "$candidate" ]; then binary=$candidate; break; fi
        done
    fi
    [ -n "$binary" ] || fail 'there is no binary to install' '`cargo build --release` makes one, or name it by --binary'
    [ -x "$binary" ] || fail "\`$binary\` is not an executable file"
    "$binary" --version >/dev/null 2>&1 || fail "\`$binary\` does not run here" 'another processor, or an older C library?'
}

create_user() {
    if [ -n "$root" ] || id -u "$user" >/dev/null 2>&1; then return; fi
    run useradd --system --user-group --home-dir "$project" --no-create-home \
        --shell /usr/sbin/nologin "$user"
}

# A first site, to be replaced: one page, so that there is something to see.
create_project() {
    folder=$root$project
    if [ ! -d "$folder" ]; then
        run mkdir -p "$folder"
        # It holds the virtualenv, and whatever hooks write.
        if [ -z "$root" ]; then run chown "$user:" "$folder"; fi
        run chmod 0750 "$folder"
    fi
    if [ -e "$folder/project.toml" ]; then return; fi
    run mkdir -p "$folder/public"
    draft=$(mktemp)
    printf '%s\n' '<!doctype html><title>appliance</title><h1>It serves</h1>' > "$draft"
    if [ ! -e "$folder/public/index.html" ]; then run install -m 0644 "$draft" "$folder/public/index.html"; fi
    cat > "$draft" <<'END'
# `appliance check` says what is wrong with it; `systemctl reload appliance` takes up changes.
[[site]]
listen = [80, "[::]:80"]

[site.routes]
"/" = { files = "public", fallback = "/index.html" }
END
    run install -m 0644 "$draft" "$folder/project.toml"
    rm -f "$draft"
}

install_unit() {
    if [ -e "$unit" ] && ! grep -q "^$marker" "$unit"; then
        fail "\`$unit\` is there and was not installed by this script" 'another --name, or remove it'
    fi
    draft=$(mktemp)
    {
        printf '%s Changes of yours: systemctl edit %s\n' "$marker" "$name"
        # Each user's control sockets lie in a folder of its own.
        sed -e "s|^User=.*|User=$user|" -e "s|/srv/project|$project|" \
            -e "s|^RuntimeDirectory=.*|RuntimeDirectory=$name|" "$here/systemd/appliance.service"
    } > "$draft"
    before=$changed changed=''
    place 0644 "$draft" "$unit"
    rm -f "$draft"
    if [ -n "$changed" ] && systemd; then run systemctl daemon-reload; fi
    changed=$before$changed
}

start_unit() {
    if [ -z "$start" ] || ! systemd; then
        say "to start it: systemctl daemon-reload && systemctl enable --now $name"
        return
    fi
    if ! systemctl is-enabled --quiet "$name.service" 2>/dev/null ||
        ! systemctl is-active --quiet "$name.service"; then
        run systemctl enable --now "$name.service"
    elif [ -n "$changed" ]; then
        say "it runs as it was: systemctl restart $name takes up binary and unit"
    fi
}

if [ -n "$uninstall" ]; then remove; exit 0; fi
[ -r "$here/systemd/appliance.service" ] || fail "\`$here/systemd/appliance.service\` is missing" 'it is part of the release'
find_binary
place 0755 "$binary" "$target"
create_user
create_project
install_unit
[ -n "$changed" ] || say 'everything is as it should be'
start_unit
