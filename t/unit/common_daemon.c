/* daemon: a small daemon in a child, and this process as its supervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/log.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/loop.h"

enum { WAIT_MS = 20000 };

static char dir[64];

/* --- the daemon ------------------------------------------------------------------------ */

static struct {
	struct conf_list listen, datagrams;
	const char *greeting;
} conf;
static const struct conf_directive TABLE[] = {
    {.name = "listen",
     .type = CONF_ADDR,
     .offset = offsetof(__typeof__(conf), listen),
     .flags = CONF_MULTI,
     .help = "Where to listen."},
    {.name = "datagrams",
     .type = CONF_ADDR,
     .offset = offsetof(__typeof__(conf), datagrams),
     .flags = CONF_MULTI,
     .help = "Where datagrams are taken."},
    {.name = "greeting",
     .type = CONF_STRING,
     .offset = offsetof(__typeof__(conf), greeting),
     .def = "hello",
     .help = "What to say."},
    {.name = NULL},
};

static size_t listeners(struct pool *pool, struct listen_spec **out)
{
	size_t n = conf.listen.n;
	*out = pool_alloc(pool, (n + 1 + conf.datagrams.n) * sizeof(**out));
	for (size_t i = 0; i < n; i++)
		(*out)[i] = (struct listen_spec){
		    .name = listen_name(pool, "echo", conf.listen.item[i]),
		    .addr = *(struct conf_addr *)conf.listen.item[i],
		};
	struct listen_spec *raw = &(*out)[n];
	*raw = (struct listen_spec){.name = "raw-smtpd", .owner = "smtpd", .raw = true};
	listen_unix(pool, pool_printf(pool, "%s/sub/raw.sock", dir), &raw->addr);
	n++;
	listen_add(pool, *out, &n, &conf.datagrams,
		   &(struct listen_spec){.name = "udp", .udp = true, .raw = true});
	return n;
}
static void on_accept(int fd, const struct sockaddr *peer, const struct sockaddr *local,
		      const struct listen_spec *spec)
{
	send(fd, conf.greeting, strlen(conf.greeting), MSG_NOSIGNAL);
	close(fd);
	(void)local;
	listen_done(spec, daemon_limits(), peer);
}
static void sandbox(struct pool *pool, struct sandbox *out)
{
	struct sandbox_path *p = pool_alloc(pool, 2 * sizeof(*p));
	const char **s = pool_alloc(pool, 2 * sizeof(*s));
	p[0] = (struct sandbox_path){"/var/lib/echo", true};
	s[0] = "/run/echo.sock";
	out->paths = p;
	out->sockets = s;
}
static void stats(struct buf *out)
{
	buf_adds(out, "echoes_total 7\n");
}
static bool control(struct conf_words w, struct buf *out)
{
	if (strcmp(w.w[0], "say") != 0 || w.n != 2)
		return false;
	buf_printf(out, "%s\n", w.w[1]);
	return true;
}
static int raw_fd = -1;
static uv_poll_t datagrams;
/* The address that the datagram was sent to, as text. */
static bool destination(struct msghdr *m, char *out, socklen_t cap)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		return inet_ntop(AF_INET, &info.ipi_addr, out, cap);
	}
	if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		return inet_ntop(AF_INET6, &info.ipi6_addr, out, cap);
	}
	return false;
}
static void on_datagram(uv_poll_t *p, int status, int events)
{
	char text[64], control[256];
	struct sockaddr_storage peer;
	struct iovec iov = {text, sizeof(text)};
	struct msghdr m = {.msg_name = &peer,
			   .msg_namelen = sizeof(peer),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd = *(int *)p->data;
	(void)status;
	(void)events;
	if (recvmsg(fd, &m, 0) >= 0 && destination(&m, text, sizeof(text)))
		sendto(fd, text, strlen(text), 0, (struct sockaddr *)&peer, m.msg_namelen);
}
static void inherit(const char *name, int fd)
{
	static int udp_fd;
	if (strncmp(name, "udp-", 4) == 0) {
		udp_fd = fd;
		datagrams.data = &udp_fd;
		uv_poll_init(loop_get(), &datagrams, fd);
		uv_poll_start(&datagrams, UV_READABLE, on_datagram);
	}
	if (strcmp(name, "raw-smtpd") == 0)
		raw_fd = fd;
}
static void drain_never(void)
{
}
static struct daemon echo = {
    .name = "echod",
    .conf_file = "/nowhere/echod.conf",
    .table = TABLE,
    .conf = &conf,
    .listeners = listeners,
    .listen_ops = &(const struct listen_ops){.on_accept = on_accept},
    .stats = stats,
    .control = control,
    .inherit = inherit,
};

/* --- the supervisor -------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
	static char path[4][128];
	static unsigned n;
	char *p = path[n++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void write_conf(const char *text)
{
	FILE *f = fopen(path_of("echod.conf"), "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

struct child {
	pid_t pid;
	int notify;      /* our end of NOTIFY_SOCKET */
	int life;        /* our end of the life pipe */
	int out;         /* its stdout and stderr */
	char text[8192]; /* what came out of it */
};

static int notify_socket(char *name, size_t cap)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int n = snprintf(name, cap, "@hamlet-test-%d-%d", (int)getpid(), rand());
	memcpy(un.sun_path, name, (size_t)n);
	un.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, len), 0);
	return fd;
}

static void set_number(const char *name, long n)
{
	char text[24];
	snprintf(text, sizeof(text), "%ld", n);
	setenv(name, text, 1);
}

/* Starts the daemon with the words of `args`; `fds` go to 3, 4 ... under `names`. */
static void start(struct child *c, const char *args, const int *fds, int n, const char *names)
{
	char name[64];
	int life[2], out[2];
	memset(c, 0, sizeof(*c));
	c->notify = notify_socket(name, sizeof(name));
	assert_int_equal(pipe2(life, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	fflush(NULL);
	c->pid = fork();
	if (c->pid == 0) {
		int high[8];
		close(life[1]);
		for (int i = 0; i < n; i++)
			high[i] = fcntl(fds[i], F_DUPFD, 200);
		for (int i = 0; i < n; i++)
			close(fds[i]);
		int life_fd = fcntl(life[0], F_DUPFD, 100);
		dup2(out[1], 1);
		dup2(out[1], 2);
		for (int i = 0; i < n; i++) {
			dup2(high[i], 3 + i);
			close(high[i]);
		}
		set_number("LISTEN_PID", n ? getpid() : 0);
		set_number("LISTEN_FDS", n);
		setenv("LISTEN_FDNAMES", names, 1);
		setenv("NOTIFY_SOCKET", name, 1);
		setenv("WATCHDOG_USEC", "200000", 1);
		setenv("HAMLET_LOG_CHILD", "1", 1);
		setenv("HAMLET_RUNDIR", path_of("run"), 1);
		set_number("HAMLET_LIFE_FD", life_fd);
		char words[256], *argv[16] = {(char *)"echod"}, *save = NULL;
		int argc = 1;
		snprintf(words, sizeof(words), "%s", args);
		for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
			argv[argc++] = w;
		int code = daemon_main(argc, argv, &echo);
		exit(code); /* as a program does, with what a sanitizer does at the end */
	}
	close(life[0]);
	close(out[1]);
	c->life = life[1];
	c->out = out[0];
}

/* Its exit code; all it wrote is in text. */
static int finish(struct child *c)
{
	size_t len = 0;
	ssize_t n;
	int status;
	while (len < sizeof(c->text) - 1 &&
	       (n = read(c->out, c->text + len, sizeof(c->text) - 1 - len)) > 0)
		len += (size_t)n;
	c->text[len] = 0;
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	close(c->notify);
	close(c->life);
	if (WIFSIGNALED(status))
		print_error("signal %d: %s\n", WTERMSIG(status), c->text);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The next notification but WATCHDOG=1 (unless that is wanted). */
static const char *notified(const struct child *c, bool watchdog)
{
	static char text[64];
	for (;;) {
		struct pollfd p = {c->notify, POLLIN, 0};
		memset(text, 0, sizeof(text));
		if (poll(&p, 1, WAIT_MS) <= 0)
			return "nothing";
		recv(c->notify, text, sizeof(text) - 1, 0);
		if (watchdog == (strcmp(text, "WATCHDOG=1") == 0))
			return text;
	}
}

static int tcp_listener(int *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)) | listen(fd, 16), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	*port = ntohs(in.sin_port);
	return fd;
}

static int unix_socket(const char *path, bool listening)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr *sa = (const struct sockaddr *)&un;
	if (listening) {
		unlink(path);
		assert_int_equal(bind(fd, sa, sizeof(un)) | listen(fd, 16), 0);
	} else if (connect(fd, sa, sizeof(un)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static const char *read_all(int fd)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fd);
	return text;
}

static const char *ask(const char *path, const char *line)
{
	int fd = unix_socket(path, false);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	return read_all(fd);
}

static int connect_port(int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
		return fd;
	close(fd);
	return -1;
}

static const char *args_with(const char *flags)
{
	static char args[256];
	snprintf(args, sizeof(args), "-f %s %s", path_of("echod.conf"), flags);
	return args;
}

/* A daemon with one TCP listener, a raw one and a control socket, ready. */
static int start_served(struct child *c)
{
	int port, tcp = tcp_listener(&port);
	char text[128], names[128];
	snprintf(text, sizeof(text), "version 1\nlisten 127.0.0.1:%d\n", port);
	write_conf(text);
	snprintf(names, sizeof(names), "ctl:raw-smtpd:echo-127.0.0.1-%d", port);
	int fds[] = {unix_socket(path_of("ctl.sock"), true), unix_socket(path_of("raw.sock"), true),
		     tcp};
	start(c, args_with("-N echo2"), fds, 3, names);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	assert_string_equal(notified(c, false), "READY=1");
	return port;
}

/* --- tests ----------------------------------------------------------------------------- */

static void flags_that_print_and_exit(void **state)
{
	(void)state;
	struct child c;
	write_conf("version 1\nlisten 127.0.0.1:7\nlisten unix:/tmp/e.sock\ngreeting \"a b\"\n");
	start(&c, "-V", NULL, 0, "");
	assert_int_equal(finish(&c), EX_OK);
	assert_string_equal(c.text, "hamlet echod " HAMLET_VERSION "\n");
	start(&c, args_with("-n"), NULL, 0, "");
	assert_int_equal(finish(&c), EX_OK);
	assert_string_equal(c.text, "");
	start(&c, args_with("-nn"), NULL, 0, "");
	assert_int_equal(finish(&c), EX_OK);
	assert_non_null(strstr(c.text, "greeting \"a b\"\n"));
	start(&c, "-M", NULL, 0, "");
	assert_int_equal(finish(&c), EX_OK);
	assert_non_null(strstr(c.text, "greeting"));
	start(&c, "-x", NULL, 0, "");
	assert_int_equal(finish(&c), EX_USAGE);
}

static void list_prints_what_is_to_be_prepared(void **state)
{
	(void)state;
	struct child c;
	char want[512];
	write_conf("version 1\nlisten 127.0.0.1:7\ndatagrams [::1]:7\n");
	echo.sandbox = sandbox;
	start(&c, args_with("-L"), NULL, 0, "");
	echo.sandbox = NULL;
	assert_int_equal(finish(&c), EX_OK);
	snprintf(want, sizeof(want),
		 "listen\techo-127.0.0.1-7\ttcp\t127.0.0.1:7\t-\n"
		 "listen\traw-smtpd\tunix\tunix:%s/sub/raw.sock\tsmtpd\n"
		 "listen\tudp----1--7\tudp\t[::1]:7\t-\n"
		 "path\trw\t/var/lib/echo\t-\t-\n"
		 "socket\t-\t/run/echo.sock\t-\t-\n",
		 dir);
	assert_string_equal(c.text, want);
}

static void all_mistakes_are_printed(void **state)
{
	(void)state;
	struct child c;
	write_conf("version 1\nlisten nowhere\ngreting x\n");
	start(&c, args_with("-n"), NULL, 0, "");
	assert_int_equal(finish(&c), EX_CONFIG);
	assert_non_null(strstr(c.text, "echod.conf:2:8: listen:"));
	assert_non_null(strstr(c.text, "echod.conf:3:1: greting"));
	assert_non_null(strstr(c.text, "2 mistakes"));
}

static void serves_what_it_inherits(void **state)
{
	(void)state;
	struct child c;
	int port = start_served(&c);
	assert_string_equal(notified(&c, true), "WATCHDOG=1");
	int fd = connect_port(port);
	assert_true(fd >= 0);
	assert_string_equal(read_all(fd), "hello");
	kill(c.pid, SIGTERM);
	assert_string_equal(notified(&c, false), "STOPPING=1");
	assert_int_equal(finish(&c), EX_OK);
}

static void control_socket_answers(void **state)
{
	(void)state;
	struct child c;
	start_served(&c);
	const char *ctl = path_of("ctl.sock");
	assert_string_equal(ask(ctl, "ping\n"), "pong\n.\n");
	assert_string_equal(ask(ctl, "say \"two words\"\r\n"), "two words\n.\n");
	assert_string_equal(ask(ctl, "say a b\n"), "! unknown command\n");
	assert_string_equal(ask(ctl, "loglevel loud\n"),
			    "! usage: loglevel error|warning|info|debug\n");
	assert_string_equal(ask(ctl, "loglevel debug\n"), ".\n");
	assert_string_equal(ask(ctl, "say \"open\n"), "! not a line of words\n");
	assert_string_equal(ask(ctl, "\n"), "! not a line of words\n");
	const char *text = ask(ctl, "stats\n");
	assert_non_null(strstr(text, "start_time_seconds "));
	assert_non_null(strstr(text, "echoes_total 7\n.\n"));
	char longer[6000];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_string_equal(ask(ctl, longer), "! not a line of words\n");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EX_OK);
}

static void a_second_term_ends_at_once(void **state)
{
	(void)state;
	struct child c;
	echo.drain = drain_never;
	int port = start_served(&c);
	echo.drain = NULL;
	kill(c.pid, SIGINT); /* not its business without -d */
	kill(c.pid, SIGTERM);
	assert_string_equal(notified(&c, false), "STOPPING=1");
	assert_int_equal(connect_port(port), -1); /* the listener was closed first */
	assert_string_equal(ask(path_of("ctl.sock"), "ping\n"), "pong\n.\n");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EX_OK);
	assert_non_null(strstr(c.text, "asked twice"));
}

static void ends_with_its_supervisor(void **state)
{
	(void)state;
	struct child c;
	start_served(&c);
	close(c.life);
	c.life = -1;
	assert_int_equal(finish(&c), EX_UNAVAILABLE);
}

static void a_missing_socket_is_an_error(void **state)
{
	(void)state;
	struct child c;
	write_conf("version 1\nlisten 127.0.0.1:7\n");
	start(&c, args_with(""), NULL, 0, "");
	assert_int_equal(finish(&c), EX_OSERR);
	assert_non_null(strstr(c.text, "listener=echo-127.0.0.1-7"));
	assert_non_null(strstr(c.text, "listener=raw-smtpd"));
}

static void sockets_without_our_names_are_known_by_address(void **state)
{
	(void)state;
	struct child c;
	int port, fds[] = {tcp_listener(&port), -1};
	char text[128];
	snprintf(text, sizeof(text), "version 1\nlisten 127.0.0.1:%d\n", port);
	write_conf(text);
	mkdir(path_of("sub"), 0700);
	fds[1] = unix_socket(path_of("sub/raw.sock"), true);
	start(&c, args_with(""), fds, 2, "unknown:unknown");
	close(fds[0]);
	close(fds[1]);
	assert_string_equal(notified(&c, false), "READY=1");
	int fd = connect_port(port);
	assert_string_equal(read_all(fd), "hello");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EX_OK);
}

static void alone_it_binds_its_sockets(void **state)
{
	(void)state;
	struct child c;
	char text[160];
	snprintf(text, sizeof(text), "version 1\nlisten unix:%s/sub/echo.sock\n", dir);
	write_conf(text);
	start(&c, args_with("-d"), NULL, 0, "");
	assert_string_equal(notified(&c, false), "READY=1");
	assert_string_equal(read_all(unix_socket(path_of("sub/echo.sock"), false)), "hello");
	int raw = unix_socket(path_of("sub/raw.sock"), false);
	assert_true(raw >= 0);
	close(raw);
	assert_string_equal(ask(path_of("run/ctl/echod.0.sock"), "ping\n"), "pong\n.\n");
	struct stat st;
	assert_int_equal(stat(path_of("sub"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	kill(c.pid, SIGINT);
	assert_int_equal(finish(&c), EX_OK);
}

/* A socket for datagrams, bound as hamletd does it; the port of *port, or one that is free. */
static int udp_socket(int *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)*port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	struct conf_addr a = {.len = sizeof(in), .text = ""};
	memcpy(&a.sa, &in, sizeof(in));
	int fd = listen_bind_udp(&a);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

/* Asks until it is answered: the datagram may be lost while the sockets change hands. */
static void expect_datagram(int port, const char *address, const char *told)
{
	char text[64];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval tv = {.tv_sec = 1};
	ssize_t n = -1;
	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	for (int i = 0; i < WAIT_MS / 1000 && n < 0; i++) {
		assert_int_equal(sendto(fd, "?", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
		n = recv(fd, text, sizeof(text) - 1, 0);
	}
	close(fd);
	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(text, told);
}

static void datagrams_are_known_from_connections_at_the_same_address(void **state)
{
	(void)state;
	struct child c;
	int port, tcp = tcp_listener(&port), udp = udp_socket(&port);
	mkdir(path_of("sub"), 0700);
	char text[128];
	snprintf(text, sizeof(text), "version 1\nlisten 127.0.0.1:%d\ndatagrams 127.0.0.1:%d\n",
		 port, port);
	write_conf(text);
	int fds[] = {udp, tcp, unix_socket(path_of("sub/raw.sock"), true)};
	start(&c, args_with(""), fds, 3, "unknown:unknown:unknown");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	assert_string_equal(notified(&c, false), "READY=1");
	expect_datagram(port, "127.0.0.1", "127.0.0.1");
	assert_string_equal(read_all(connect_port(port)), "hello");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EX_OK);
}

static void alone_it_binds_sockets_for_datagrams(void **state)
{
	(void)state;
	struct child c;
	int port = 0;
	char text[128];
	close(udp_socket(&port));
	snprintf(text, sizeof(text), "version 1\ndatagrams *:%d\n", port);
	write_conf(text);
	mkdir(path_of("sub"), 0700);
	start(&c, args_with("-d"), NULL, 0, "");
	assert_string_equal(notified(&c, false), "READY=1");
	expect_datagram(port, "127.0.0.2", "::ffff:127.0.0.2");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EX_OK);
}

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hamlet-daemon.%d", (int)getpid());
	return mkdir(dir, 0700);
}
static int remove_dir(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"echod.conf",    "ctl.sock",
					    "raw.sock",      "sub/raw.sock",
					    "sub/echo.sock", "run/ctl/echod.0.sock"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		unlink(path_of(NAMES[i]));
	rmdir(path_of("run/ctl"));
	rmdir(path_of("run"));
	rmdir(path_of("sub"));
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flags_that_print_and_exit),
	    cmocka_unit_test(list_prints_what_is_to_be_prepared),
	    cmocka_unit_test(all_mistakes_are_printed),
	    cmocka_unit_test(serves_what_it_inherits),
	    cmocka_unit_test(control_socket_answers),
	    cmocka_unit_test(a_second_term_ends_at_once),
	    cmocka_unit_test(ends_with_its_supervisor),
	    cmocka_unit_test(a_missing_socket_is_an_error),
	    cmocka_unit_test(sockets_without_our_names_are_known_by_address),
	    cmocka_unit_test(alone_it_binds_its_sockets),
	    cmocka_unit_test(datagrams_are_known_from_connections_at_the_same_address),
	    cmocka_unit_test(alone_it_binds_sockets_for_datagrams),
	};
	return cmocka_run_group_tests_name("daemon", tests, make_dir, remove_dir);
}
