/* popbench ADDRESS PORT USER PASSWORD ROUNDS MODE: a POP3 client for the benchmarks. MODE:
 *   login  logs in, STAT, QUIT, ROUNDS times
 *   retr   logs in once, then RETRs every message, ROUNDS times over
 *   idle   opens ROUNDS connections, reads the greetings, writes "ready", waits for its stdin's end
 * USER may hold a %d, which counts 0..9. Prints seconds, operations and bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUF = 1 << 18 };

struct client {
	int fd;
	char buf[BUF];
	size_t len, at;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "popbench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int dial(const char *host, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timeval wait = {.tv_sec = 30};
	inet_pton(AF_INET, host, &to.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("connect");
	return fd;
}

static void fill(struct client *c)
{
	if (c->at) {
		memmove(c->buf, c->buf + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	ssize_t n = recv(c->fd, c->buf + c->len, BUF - c->len, 0);
	if (n <= 0)
		die("the server ended the connection");
	c->len += (size_t)n;
}

/* The next line, without CRLF. */
static char *line(struct client *c)
{
	for (;;) {
		char *start = c->buf + c->at;
		char *lf = memchr(start, '\n', c->len - c->at);
		if (lf) {
			c->at = (size_t)(lf - c->buf) + 1;
			*lf = 0;
			if (lf > start && lf[-1] == '\r')
				lf[-1] = 0;
			return start;
		}
		if (c->len - c->at == BUF)
			die("an endless line");
		fill(c);
	}
}

static char *command(struct client *c, const char *text)
{
	size_t n = strlen(text);
	if (send(c->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("send");
	char *answer = line(c);
	if (answer[0] != '+') {
		fprintf(stderr, "popbench: %s-> %s\n", text, answer);
		exit(1);
	}
	return answer;
}

static unsigned login(struct client *c, char **argv, int round)
{
	char text[600], user[256];
	unsigned count = 0;
	c->fd = dial(argv[1], atoi(argv[2]));
	c->len = c->at = 0;
	line(c);
	const char *mark = strstr(argv[3], "%d");
	if (mark)
		snprintf(user, sizeof(user), "%.*s%d%s", (int)(mark - argv[3]), argv[3], round % 10,
			 mark + 2);
	else
		snprintf(user, sizeof(user), "%s", argv[3]);
	snprintf(text, sizeof(text), "USER %s\r\n", user);
	command(c, text);
	snprintf(text, sizeof(text), "PASS %s\r\n", argv[4]);
	command(c, text);
	if (sscanf(command(c, "STAT\r\n"), "+OK %u", &count) != 1)
		die("STAT");
	return count;
}

static void bye(struct client *c)
{
	command(c, "QUIT\r\n");
	close(c->fd);
}

static unsigned long long retrieve(struct client *c, unsigned n)
{
	char text[32];
	unsigned long long bytes = 0;
	snprintf(text, sizeof(text), "RETR %u\r\n", n);
	command(c, text);
	for (;;) {
		char *l = line(c);
		if (l[0] == '.' && !l[1])
			return bytes;
		bytes += strlen(l) + 2;
	}
}

static void idle(char **argv, int count)
{
	struct rlimit many = {65536, 65536};
	char byte;
	static struct client c;
	setrlimit(RLIMIT_NOFILE, &many);
	for (int i = 0; i < count; i++) {
		c.fd = dial(argv[1], atoi(argv[2]));
		c.len = c.at = 0;
		line(&c);
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	static struct client c;
	struct timespec a, b;
	unsigned long long ops = 0, bytes = 0;
	if (argc != 7) {
		fputs("usage: popbench ADDRESS PORT USER PASSWORD ROUNDS login|retr|idle\n",
		      stderr);
		return 64;
	}
	int rounds = atoi(argv[5]);
	if (strcmp(argv[6], "idle") == 0) {
		idle(argv, rounds);
		return 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (strcmp(argv[6], "login") == 0) {
		for (int i = 0; i < rounds; i++, ops++) {
			login(&c, argv, i);
			bye(&c);
		}
	} else {
		unsigned count = login(&c, argv, 0);
		for (int i = 0; i < rounds; i++)
			for (unsigned k = 1; k <= count; k++, ops++)
				bytes += retrieve(&c, k);
		bye(&c);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.6f %llu %llu\n",
	       (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9, ops, bytes);
	return 0;
}
