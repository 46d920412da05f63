/* What the kernel takes for a response, whoever sends it: a loop that looks at one letter of a request.
 *
 * It has no timeouts, no routes, no conditions, no log, and trusts that a request comes in one piece and
 * a response goes out in one. What a server costs above this is the server's; no server costs less, as
 * long as it reads, sends and waits by the same system calls.
 *
 * usage: floor PORT PROCESSES FOLDER     serves FOLDER/index.html, and FOLDER/app.js for /a...
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A small body goes out with its head in one call; a larger one stays in the page cache. */
enum { COPIED = 16 << 10 };

struct answer {
    char bytes[COPIED + 1024];
    size_t length;
    int file;
    off_t rest;
};

static void load(struct answer *answer, const char *folder, const char *name, const char *type) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    struct stat about;
    answer->file = open(path, O_RDONLY);
    if (answer->file < 0 || fstat(answer->file, &about))
        err(1, "%s", path);
    /* As many bytes of head as others send. */
    answer->length = snprintf(answer->bytes, 1024,
        "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: %s\r\n"
        "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\nETag: \"0123456789abcdef\"\r\n"
        "Cache-Control: no-cache\r\nAccept-Ranges: bytes\r\nContent-Length: %lld\r\n\r\n",
        type, (long long)about.st_size);
    answer->rest = about.st_size;
    if (about.st_size <= COPIED) {
        if (read(answer->file, answer->bytes + answer->length, COPIED) != about.st_size)
            err(1, "%s", path);
        answer->length += about.st_size;
        answer->rest = 0;
    }
}

static void reply(int client, const struct answer *answer) {
    off_t from = 0;
    ssize_t sent = send(client, answer->bytes, answer->length, answer->rest ? MSG_MORE : 0);
    if (sent == (ssize_t)answer->length && answer->rest)
        sent = sendfile(client, answer->file, &from, answer->rest) == answer->rest ? sent : -1;
    if (sent != (ssize_t)answer->length)
        close(client);
}

static void serve(int port, const struct answer *page, const struct answer *script) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes)
        || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)
        || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event))
        err(1, "port %d", port);
    for (;;) {
        int count = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            char request[8192];
            int client = events[i].data.fd;
            if (client == listener) {
                client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = client};
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
            } else if (recv(client, request, sizeof request, 0) <= 0) {
                close(client);
            } else {
                reply(client, request[5] == 'a' ? script : page);
            }
        }
    }
}

int main(int count, char **arguments) {
    static struct answer page, script;
    if (count != 4)
        errx(2, "usage: floor PORT PROCESSES FOLDER");
    load(&page, arguments[3], "index.html", "text/html; charset=utf-8");
    load(&script, arguments[3], "app.js", "text/javascript; charset=utf-8");
    for (int left = atoi(arguments[2]); left > 1; left--)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    serve(atoi(arguments[1]), &page, &script);
}
