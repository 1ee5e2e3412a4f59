// Pong is the smallest server worth watching: / answers "pong", /version what it is, /healthz that it works.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PORT = 8080, SECONDS = 2, BACKLOG = 64 };

static void stop(int number) {
    (void)number;
    _exit(0);
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

// No peer keeps the server waiting for longer than SECONDS.
static void be_quick(int connection) {
    struct timeval wait = {.tv_sec = SECONDS};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

// The first line of what a peer sends; what does not fit is cut off.
static int first_line(int connection, char *line, size_t room) {
    size_t length = 0;
    while (length < room - 1) {
        ssize_t got = read(connection, line + length, room - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
        line[length] = '\0';
        if (strstr(line, "\r\n")) break;
    }
    line[length] = '\0';
    return length > 0;
}

static int asks_for(const char *line, const char *path) {
    size_t length = strlen(path);
    return !strncmp(line, "GET ", 4) && !strncmp(line + 4, path, length) && line[4 + length] == ' ';
}

static void answer(int connection, const char *status, const char *body) {
    dprintf(connection, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
            status, strlen(body), body);
}

static void serve(int connection, const char *version) {
    char line[1024];
    be_quick(connection);
    if (!first_line(connection, line, sizeof line)) return;
    if (asks_for(line, "/")) answer(connection, "200 OK", "pong\n");
    else if (asks_for(line, "/version")) answer(connection, "200 OK", version);
    else if (asks_for(line, "/healthz")) answer(connection, "200 OK", "ok\n");
    else answer(connection, "404 Not Found", "there is no such page\n");
    shutdown(connection, SHUT_WR);
}

// For HEALTHCHECK: the image holds no shell and no curl.
static int healthcheck(const struct sockaddr_in *address) {
    char line[1024];
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    be_quick(connection);
    if (connect(connection, (const struct sockaddr *)address, sizeof *address)) return fail("connect");
    dprintf(connection, "GET /healthz HTTP/1.0\r\n\r\n");
    return !(first_line(connection, line, sizeof line) && strstr(line, " 200 "));
}

int main(int count, char **words) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (count > 1 && !strcmp(words[1], "-healthcheck")) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return healthcheck(&address);
    }
    // The first process of a container gets no signal that it has no handler for.
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGPIPE, SIG_IGN);
    char version[128];
    const char *given = getenv("VERSION");
    snprintf(version, sizeof version, "%s\n", given ? given : "unknown");
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) return fail("bind");
    if (listen(listener, BACKLOG)) return fail("listen");
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) continue;
        serve(connection, version);
        close(connection);
    }
}
