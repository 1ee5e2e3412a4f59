"""The settings of a project, as frozen types: what each key means, its unit and its default.

Every path is relative to the project's root. Lists stand where one would expect maps with keys of the user's choosing,
because such keys break Invoke's environment loader.

What stands below a key is its meaning for people, everywhere: `./dev schema` makes the tables of `docs/settings.md` and
the JSON Schema of it. What a last sentence "For example ``A``, ``B``." names are examples, as YAML.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tinyship.settings import options
from tinyship.settings.grammar import about, check_assignments, check_registry_once, check_repository
from tinyship.settings.hooks import Hook
from tinyship.settings.limits import Size
from tinyship.settings.quantity import parse_bytes, parse_duration
from tinyship.settings.removal import Clean
from tinyship.settings.section import Section
from tinyship.settings.stages import Base, Build, Options, Push, Release
from tinyship.versions import Scheme


class Version(Section, frozen=True):
    """Where the version comes from: git tags (the default), a literal, or a file."""

    tag: str = ""
    """A glob of the git tags that are versions, ``v*`` where nothing is set; what stands before its ``*`` is cut from
    the version. Beside ``literal`` or ``file`` it still says which versions were released before."""
    scheme: Scheme = "auto"
    """How versions are read and ordered: ``semver``, ``pep440``, or ``auto``: PEP 440 for what is no strict SemVer."""
    literal: str = ""
    """The version itself."""
    file: str = ""
    """A file that holds the version."""
    regex: str = ""
    """Finds the version in ``file``; its first group is the version. Without it, the file's text is."""

    def __post_init__(self) -> None:
        if self.literal and self.file:
            raise ValueError("`literal` and `file` exclude each other")
        if self.regex:
            with about("regex"):
                self._check_regex()

    def _check_regex(self) -> None:
        if not self.file:
            raise ValueError("it needs `file`")
        try:
            groups = re.compile(self.regex).groups
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from error
        if not groups:
            raise ValueError("it needs a group around the version")


class BuilderTls(Section, frozen=True):
    """The certificates for a builder at ``tcp://``, as paths of PEM files; without any of them nothing is encrypted."""

    ca: str = ""
    """What the builder's certificate is checked against; the system's own where nothing is set."""
    cert: str = ""
    """Ours, for a builder that asks for one."""
    key: str = ""
    """The private key of ``cert``."""
    server_name: str = ""
    """The name in the builder's certificate; the host of its address where nothing is set."""

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise ValueError("`cert` and `key` go together")


_READERS: dict[str, Callable[[str], object]] = {
    "platforms": options.platform,
    "ulimits": options.ulimit,
    "secrets": options.secret,
    "ssh": options.ssh,
    "contexts": options.context,
    "cache_from": options.cache_from,
    "cache_to": options.cache_to,
    "attests": options.attest,
    "insecure": options.registry_host,
    "mirrors": options.mirror,
}


class Settings(Section, frozen=True):
    """One image and how it is made, released and pushed."""

    image: str
    """The repository's name, without a tag and without the registry of `push.to`."""
    needs: tuple[str, ...] = ()
    """The names of other entries of ``images`` that are released before this one. What a Dockerfile or a named context
    takes from another image need not be said here."""
    jobs: int = 0
    """How many images are worked on at the same time, at most; 0: twice as many as this machine has processors,
    from 4 to 8. Of several images that of the first one counts."""
    version: Version = Version()
    builder: str = "auto"
    """``buildkit`` and ``classic`` are the engine's; ``tcp://host:port`` and ``unix:///path`` are any buildkitd;
    ``auto`` is the engine's BuildKit where it has one."""
    builder_tls: BuilderTls | None = None
    platforms: tuple[str, ...] = ()
    """Those of the release image, like ``linux/arm64``; the engine's own where empty. The build stage has none:
    artifacts come from one container."""
    args: tuple[str, ...] = ()
    """Build arguments, ``KEY=value``, for every Dockerfile that declares them."""
    labels: tuple[str, ...] = ()
    """Labels, ``key=value``, for the release image, beside those that come by themselves."""
    network: str = ""
    """The network of RUN instructions, as ``docker build --network`` takes it."""
    extra_hosts: tuple[str, ...] = ()
    """``name:address``, as ``docker build --add-host`` takes them."""
    shm_size: str = ""
    """Bytes of /dev/shm in RUN instructions, like ``128MB``; the engine's own where nothing is set."""
    ulimits: tuple[str, ...] = ()
    """Of RUN instructions, ``name=soft[:hard]``."""
    secrets: Options = ()
    """For ``RUN --mount=type=secret``: ``id=npm,env=NPM_TOKEN``, ``id=npm,src=path``; with the id alone it is the
    variable of that name, or else the file."""
    ssh: tuple[str, ...] = ()
    """Agents for ``RUN --mount=type=ssh``: ``default`` is that of SSH_AUTH_SOCK, ``ID=path`` another one's socket."""
    contexts: tuple[str, ...] = ()
    """Named contexts, for ``FROM`` and ``COPY --from``: ``NAME=folder``, ``NAME=docker-image://reference``, or
    ``NAME=target:IMAGE``, the last release of another entry of ``images``."""
    cache_from: Options = ()
    """Where every stage may take cached steps from: ``type=registry,ref=...`` (or the reference alone),
    ``type=local,src=folder``."""
    cache_to: Options = ()
    """Where the release stage puts its steps: ``type=registry,ref=...``, ``type=local,dest=folder`` or ``type=inline``;
    ``mode=max`` puts those of all the stages of its Dockerfile there."""
    no_cache: bool = False
    """Build every step again."""
    no_cache_filter: tuple[str, ...] = ()
    """Names of stages in Dockerfiles whose steps are all built again."""
    pull: bool = False
    """Ask the registry for base images even where the engine has them; never for those that are made here."""
    max_age: str = ""
    """How old images that are made here may become before they are made afresh, without any cache, although nothing
    changed: ``36h``, ``7d``; any age where nothing is set."""
    ca: str = ""
    """A PEM file of certificates that are trusted beside the system's: when registries are asked, and in builds as the
    secret ``ca``, for ``RUN --mount=type=secret,id=ca``."""
    proxy: str = ""
    """The proxy on the way to registries, and of RUN instructions and build containers; that of the environment, and
    for builds that of the Docker config, where nothing is set."""
    no_proxy: tuple[str, ...] = ()
    """Hosts, domains and networks that need no proxy, beside this machine; those of NO_PROXY where nothing is set, and
    for builds those of the Docker config."""
    insecure: tuple[str, ...] = ()
    """Registries, ``host[:port]``, that plain HTTP may be spoken with; this machine's need not be named."""
    mirrors: tuple[str, ...] = ()
    """``registry=mirror[/path]``: where tinyship asks first for what a registry has, as far as it only reads and the
    project does not push it; ``docker.io=mirror.example.com``."""
    attests: Options = ()
    """Attestations of the release image, which is what others get: ``type=provenance,mode=max``, ``type=sbom``."""
    base: tuple[Base, ...] = ()
    build: Build | None = None
    release: Release = Release()
    push: Push = Push()
    size: Size = Size()
    clean: Clean = Clean()
    hooks: tuple[Hook, ...] = ()
    """What is run before and after stages, in this order."""

    def __post_init__(self) -> None:
        with about("image"):
            check_repository(self.image)
            if self.push.to:
                check_registry_once(self.image)
        with about("args"):
            check_assignments(self.args)
        with about("labels"):
            check_assignments(self.labels)
        if self.jobs < 0:
            raise ValueError("`jobs`: it is at least 1, or 0 for as many as fit")
        with about("builder"):
            options.check_builder(self.builder)
        if self.shm_size:
            with about("shm_size"):
                parse_bytes(self.shm_size)
        if self.max_age:
            with about("max_age"):
                parse_duration(self.max_age)
        for key, read in _READERS.items():
            with about(key):
                options.check_each(getattr(self, key), read)
        if self.proxy:
            with about("proxy"):
                options.check_proxy(self.proxy, self.attests)
        names = [base.name for base in self.base]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"`base`: two entries are named `{name}`")
