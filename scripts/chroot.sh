# shellcheck shell=bash
# shellcheck disable=SC2154 # what the script that sources this has set
# How the scripts of this folder make a Debian chroot. Sourced after lib.sh by one that has set
#   suite, host_suite   the release of the chroot, and this host's
#   folder              where things are made, absolute
#   root, base          the chroot, and the tar of it as debootstrap left it

# The mirror this host's apt uses, so that no address stands in this file.
mirror() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v suite="$host_suite" '$2 == suite { print $1; exit }'
}

# make_base PACKAGES: debootstrap's smallest system and these (with commas between), kept as a tar.
make_base() {
  local from
  from="$(mirror)"
  [ -n "$from" ] || die "apt's sources on this host name no mirror for $host_suite"
  say "debootstrap $suite (minbase) …"
  rm -rf --one-file-system "$root"
  debootstrap --variant=minbase --include="$1" "$suite" "$root" "$from" >"$folder/debootstrap.log" 2>&1 ||
    die "debootstrap failed: $(tail -n 1 "$folder/debootstrap.log") (see $folder/debootstrap.log)"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -cf "$base.part" . && mv "$base.part" "$base"
}

unpack_base() {
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  tar -C "$root" -xf "$base"
}

# Carries over how this host reaches apt's registries; secrets (auth.conf, tokens) stay behind.
carry_network() {
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  if [ "$suite" = "$host_suite" ]; then
    rm -f "$root/etc/apt/sources.list"
    cp -aL /etc/apt/sources.list* "$root/etc/apt/"
    for keys in /etc/apt/keyrings /etc/apt/trusted.gpg.d /usr/share/keyrings; do
      [ ! -d "$keys" ] || cp -aLn "$keys" "$(dirname "$root$keys")/"
    done
  else
    printf 'deb %s %s main\n' "$(mirror)" "$suite" >"$root/etc/apt/sources.list"
  fi
  apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/99-as-on-the-host"
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
  fi
}

# The environment of a fresh login, and of the host's only what says how to reach a registry.
environment() {
  printf '%s\n' HOME=/root USER=root TERM="${TERM:-dumb}" LANG=C.UTF-8 CARGO_TERM_COLOR=never \
    PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  local name
  for name in $(compgen -e); do
    case "$name" in
    http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY) ;;
    CARGO_HTTP_* | CARGO_NET_* | CARGO_SOURCE_*) ;;
    SSL_CERT_FILE | SSL_CERT_DIR) [ -e "$root${!name}" ] || continue ;;
    *) continue ;;
    esac
    printf '%s=%s\n' "$name" "${!name}"
  done
}
