/* A daemon that behaves as it is told, for the tests of hamletd. Its configuration:
 *   listen tcp|udp|unix ADDRESS [OWNER]     path ro|rw PATH     socket PATH
 *   do WORD [MS]     ready-late, never-ready, crash-at-start, hang (gives no sign of life),
 *                    ignore-term, bad-list, endless-list, slow-list, fail-check
 * A client sends lines: pid, proc, env NAME, file PATH, write PATH, connect PATH, uid, caps, log
 * TEXT, raw TEXT, crash, exit N, hang; each is answered by one line. After SIGTERM it goes on until
 * its clients have left. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/conf.h"
#include "libcommon/base/str.h"

enum { FDS_MAX = 512, FIRST = 3 };

struct config {
	struct conf_list listen, path, socket, what;
};
static const struct conf_directive TABLE[] = {{.name = "listen",
					       .type = CONF_WORDS,
					       .offset = offsetof(struct config, listen),
					       .flags = CONF_MULTI},
					      {.name = "path",
					       .type = CONF_WORDS,
					       .offset = offsetof(struct config, path),
					       .flags = CONF_MULTI},
					      {.name = "socket",
					       .type = CONF_WORDS,
					       .offset = offsetof(struct config, socket),
					       .flags = CONF_MULTI},
					      {.name = "do",
					       .type = CONF_WORDS,
					       .offset = offsetof(struct config, what),
					       .flags = CONF_MULTI},
					      {0}};

static struct config conf;
static struct pollfd fds[FDS_MAX];
static enum { LISTENER, DATAGRAM, LIFE, SESSION } kind[FDS_MAX];
static int count;
static volatile sig_atomic_t draining;
static bool hanging;

static void on_term(int sig)
{
	(void)sig;
	draining = 1;
}

/* The number behind a `do` word: -1 when it is not there, 0 without a number. */
static long told(const char *word)
{
	for (size_t i = 0; i < conf.what.n; i++) {
		const struct conf_words *w = conf.what.item[i];
		if (strcmp(w->w[0], word) == 0)
			return w->n > 1 ? atol(w->w[1]) : 0;
	}
	return -1;
}

static void say(const char *text)
{
	dprintf(2, "<6>testdaemon[%d]: %s\n", (int)getpid(), text);
}

static void notify(const char *text)
{
	const char *to = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (!to)
		return;
	size_t len = strlen(to);
	memcpy(un.sun_path, to, len);
	un.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	sendto(fd, text, strlen(text), 0, (struct sockaddr *)&un,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static void list(const char *instance)
{
	if (told("slow-list") >= 0)
		sleep(60);
	if (told("bad-list") >= 0)
		printf("listen\tx\ttcp\n");
	while (told("endless-list") >= 0)
		if (printf("path\tro\t/usr\t-\t-\n") < 0)
			exit(1);
	for (size_t i = 0; i < conf.listen.n; i++) {
		const struct conf_words *w = conf.listen.item[i];
		printf("listen\t%s-%zu\t%s\t%s\t%s\n", instance, i, w->w[0], w->w[1],
		       w->n > 2 ? w->w[2] : "-");
	}
	for (size_t i = 0; i < conf.path.n; i++) {
		const struct conf_words *w = conf.path.item[i];
		printf("path\t%s\t%s\t-\t-\n", w->w[0], w->w[1]);
	}
	for (size_t i = 0; i < conf.socket.n; i++)
		printf("socket\t-\t%s\t-\t-\n", ((struct conf_words *)conf.socket.item[i])->w[0]);
}

static void add(int fd, int what)
{
	if (count == FDS_MAX) {
		close(fd);
		return;
	}
	kind[count] = what;
	fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void inherit(void)
{
	const char *n = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	const char *life = getenv("HAMLET_LIFE_FD");
	struct slice rest = slice_of(names);
	for (int i = 0; n && i < atoi(n); i++) {
		struct slice name = slice_cut(&rest, ':');
		int type = 0;
		socklen_t len = sizeof(type);
		if (slice_eqs(name, "limits"))
			continue;
		if (getsockopt(FIRST + i, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
			add(FIRST + i, type == SOCK_DGRAM ? DATAGRAM : LISTENER);
	}
	if (life)
		add(atoi(life), LIFE);
}

static void caps_text(char *out, size_t cap)
{
	cap_t c = cap_get_proc();
	char *text = cap_to_text(c, NULL);
	bool bound = false;
	for (cap_value_t v = 0; cap_get_bound(v) >= 0; v++)
		bound = bound || cap_get_bound(v) == 1;
	snprintf(out, cap, "effective:%s bounding:%s", text, bound ? "some" : "none");
	cap_free(text);
	cap_free(c);
}

static void answer(char *line, char *out, size_t cap)
{
	char *arg = strchr(line, ' ');
	if (arg)
		*arg++ = 0;
	else
		arg = line + strlen(line);
	snprintf(out, cap, "ok");
	if (strcmp(line, "pid") == 0) {
		snprintf(out, cap, "%d", (int)getpid());
	} else if (strcmp(line, "env") == 0) {
		const char *v = getenv(arg);
		snprintf(out, cap, "%s", v ? v : "-");
	} else if (strcmp(line, "file") == 0 || strcmp(line, "write") == 0) {
		int fd = open(arg, line[0] == 'w' ? O_WRONLY | O_CREAT : O_RDONLY, 0600);
		if (fd < 0)
			snprintf(out, cap, "%s", strerrorname_np(errno));
		else
			close(fd);
	} else if (strcmp(line, "connect") == 0) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		str_fmt(un.sun_path, sizeof(un.sun_path), "%s", arg);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0)
			snprintf(out, cap, "%s", strerrorname_np(errno));
		close(fd);
	} else if (strcmp(line, "uid") == 0) {
		snprintf(out, cap, "%d:%d groups:%d", (int)getuid(), (int)getgid(),
			 getgroups(0, NULL));
	} else if (strcmp(line, "caps") == 0) {
		caps_text(out, cap);
	} else if (strcmp(line, "log") == 0) {
		say(arg);
	} else if (strcmp(line, "raw") == 0) {
		dprintf(2, "%s\n", arg);
	} else if (strcmp(line, "crash") == 0) {
		abort();
	} else if (strcmp(line, "exit") == 0) {
		exit(atoi(arg));
	} else if (strcmp(line, "hang") == 0) {
		hanging = true;
	} else {
		snprintf(out, cap, "unknown");
	}
}

/* False when the client has left. A command comes in one piece: the tests' lines are short. */
static bool serve(int fd)
{
	char in[1024], out[1024];
	ssize_t n = read(fd, in, sizeof(in) - 1);
	if (n <= 0)
		return false;
	in[n] = 0;
	in[strcspn(in, "\r\n")] = 0;
	answer(in, out, sizeof(out));
	return dprintf(fd, "%s\n", out) > 0;
}

static void datagram(int fd)
{
	char in[64];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	if (recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from, &len) <= 0)
		return;
	snprintf(in, sizeof(in), "%d", (int)getpid());
	sendto(fd, in, strlen(in), 0, (struct sockaddr *)&from, len);
}

static void drop(int i)
{
	close(fds[i].fd);
	count--;
	fds[i] = fds[count];
	kind[i] = kind[count];
}

static _Noreturn void loop(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	int beat = usec ? (int)(atol(usec) / 2000) : 1000;
	uint64_t next = 0;
	long late = told("hang");
	uint64_t hang_at = late >= 0 ? clock_mono() + (uint64_t)late : UINT64_MAX;
	for (;;) {
		int sessions = 0;
		hanging = hanging || clock_mono() >= hang_at;
		if (clock_mono() >= next && !hanging) {
			notify("WATCHDOG=1");
			next = clock_mono() + (uint64_t)beat;
		}
		if (draining && told("ignore-term") < 0)
			for (int i = count - 1; i >= 0; i--)
				if (kind[i] == LISTENER || kind[i] == DATAGRAM)
					drop(i);
		for (int i = 0; i < count; i++)
			sessions += kind[i] == SESSION;
		if (draining && sessions == 0 && told("ignore-term") < 0)
			exit(0);
		poll(fds, (nfds_t)count, beat < 100 ? beat : 100);
		for (int i = count - 1; i >= 0; i--) {
			if (!fds[i].revents)
				continue;
			fds[i].revents = 0;
			if (kind[i] == LIFE)
				exit(0);
			if (kind[i] == DATAGRAM)
				datagram(fds[i].fd);
			else if (kind[i] == SESSION && !serve(fds[i].fd))
				drop(i);
			else if (kind[i] == LISTENER) {
				int fd = accept(fds[i].fd, NULL, NULL);
				if (fd >= 0)
					add(fd, SESSION);
			}
		}
	}
}

int main(int argc, char **argv)
{
	const char *file = NULL, *instance = "test";
	bool want_list = false;
	int check = 0, c;
	while ((c = getopt(argc, argv, "f:N:Ln")) != -1) {
		if (c == 'f')
			file = optarg;
		else if (c == 'N')
			instance = optarg;
		else if (c == 'L')
			want_list = true;
		else if (c == 'n')
			check++;
		else
			return 64;
	}
	clock_init();
	if (!file || conf_load(pool_new(0), file, TABLE, &conf, NULL, stderr) != 0)
		return 78;
	if (want_list) {
		list(instance);
		return 0;
	}
	if (check && told("fail-check") >= 0) {
		fprintf(stderr, "%s: the check fails as told\n", file);
		return 78;
	}
	if (check > 1)
		conf_dump(stdout, TABLE, &conf);
	if (check)
		return 0;
	if (told("crash-at-start") >= 0) {
		say("crashing as told");
		return 70;
	}
	struct sigaction sa = {.sa_handler = on_term};
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	inherit();
	if (told("ready-late") > 0)
		usleep((useconds_t)told("ready-late") * 1000);
	if (told("never-ready") < 0)
		notify("READY=1\nSTATUS=serving");
	loop();
}
