/* The process that compiles: zone text is read there, in a sandbox without network, so that neither
 * a mistake in the reader nor the memory and time of a large zone are the answers'. It is forked
 * before the daemon's own sandbox, which allows no new process, and ends with it. Both talk by a
 * socket pair: a request, a reply. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>
#include "dnsd/wire/serve.h"
#include "dnsd/sign/dnssec.h"
#include "dnsd/image/image.h"
#include "libcommon/base/fatal.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum { CHILD_FD = 3, NICE = 5, ERRORS_MAX = 60000 };

struct request {
	unsigned view;
	uint8_t zone[DNS_NAME_MAX];
	bool force, away, merge;
	uint32_t dnssec, ds_ttl, above;
};
struct reply {
	uint32_t mistakes, errors_len;
	bool ok, built, again, renewed;
	uint64_t ms;
	char errors[ERRORS_MAX];
};

static struct {
	int fd; /* -1: it has ended */
	uv_poll_t poll;
	builder_done *done;
} self = {.fd = -1};

/* --- there -------------------------------------------------------------------------------------
 */

static void work(int fd, int state, struct store_link *store, struct pool *pool,
		 const struct request *ask)
{
	static struct reply r;
	const struct zone_conf *z = conf_zone_in(ask->view, ask->zone);
	struct compile c = {.state = state,
			    .image = compile_image_name_in(pool, ask->view, ask->zone),
			    .conf = z,
			    .file = z->text,
			    .store = store,
			    .zone = ask->zone,
			    .force = ask->force,
			    .away = ask->away,
			    .merge = ask->merge,
			    .above = ask->above,
			    .dnssec = ask->dnssec,
			    .ds_ttl = ask->ds_ttl};
	if (store)
		store_link_away(store, c.away);
	compile_run(&c);
	size_t n = c.errors.len < ERRORS_MAX ? c.errors.len : ERRORS_MAX;
	r.mistakes = c.mistakes;
	r.ok = c.out != NULL;
	r.built = c.built;
	r.again = c.again;
	r.renewed = c.renewed;
	r.ms = c.ms;
	r.errors_len = (uint32_t)n;
	if (n)
		memcpy(r.errors, c.errors.p, n);
	image_close(&c.out);
	buf_free(&c.errors);
	while (send(fd, &r, offsetof(struct reply, errors) + n, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static _Noreturn void child_main(int fd, pid_t parent)
{
	struct sandbox sb = {0};
	struct request ask;
	ssize_t n;
	/* Nothing of the daemon's stays open: listeners, its signs of life. */
	dup2(fd, CHILD_FD);
	close_range(CHILD_FD + 1, ~0U, 0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	prctl(PR_SET_NAME, "dnsd-build");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_OK);
	(void)!nice(NICE);
	struct pool *pool = pool_new(0), *paths = pool_new(0);
	int state = open(conf.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	conf_sandbox(paths, &sb);
	sb.connect_inet = false;
	sb.threads = false;
	struct store_link *store = NULL;
	if (conf_uses_store()) {
		uplink_sandbox(paths, ROLE_DNSD, &sb);
		store = store_link_new(sb.sockets[0]);
		dnssec_start(sb.sockets[1]);
	} else {
		uplink_tls_sandbox(paths, ROLE_DNSD, &sb);
		dnssec_start(sb.sockets[0]);
	}
	sandbox_enter(&sb);
	conf_keys_wipe(); /* what reads others' text has no use for them */
	while ((n = recv(CHILD_FD, &ask, sizeof(ask), 0)) != 0) {
		if (n == sizeof(ask))
			work(CHILD_FD, state, store, pool, &ask);
		else if (n < 0 && errno != EINTR)
			break;
		pool_clear(pool);
	}
	_exit(EX_OK);
}

/* --- here ----------------------------------------------------------------------------------------
 */

void builder_start(void)
{
	int fds[2];
	pid_t parent = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		fatal(EX_OSERR, "socketpair: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		fatal(EX_OSERR, "fork: %s", strerror(errno));
	if (pid == 0)
		child_main(fds[1], parent);
	close(fds[1]);
	self.fd = fds[0];
	fcntl(self.fd, F_SETFL, O_NONBLOCK);
}

static void on_closed(uv_handle_t *h)
{
	(void)h;
}

static void give_up(void)
{
	static const char gone[] =
	    "the process that compiles zones has ended: hamletctl daemon restart dnsd\n";
	log_event(LOG_LV_ERROR, NULL, "builder-ended", LS("served", "what was compiled before"));
	uv_poll_stop(&self.poll);
	uv_close((uv_handle_t *)&self.poll, on_closed);
	close(self.fd);
	self.fd = -1;
	self.done(NULL, slice_of(gone));
}

/* What it says is checked: it has read what others wrote. */
static void on_reply(uv_poll_t *p, int status, int events)
{
	static struct reply r;
	(void)p;
	(void)status;
	(void)events;
	ssize_t n = recv(self.fd, &r, sizeof(r), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	size_t head = offsetof(struct reply, errors);
	if (n < (ssize_t)head || (size_t)n - head != r.errors_len) {
		give_up();
		return;
	}
	const struct built b = {.mistakes = r.mistakes,
				.ok = r.ok,
				.built = r.built,
				.again = r.again,
				.renewed = r.renewed,
				.ms = r.ms};
	self.done(&b, (struct slice){r.errors, r.errors_len});
}

void builder_watch(builder_done *done)
{
	self.done = done;
	uv_poll_init(loop_get(), &self.poll, self.fd);
	uv_poll_start(&self.poll, UV_READABLE, on_reply);
}

bool builder_ask(unsigned view, const struct compile *c)
{
	struct request ask = {.view = view,
			      .force = c->force,
			      .away = c->away,
			      .merge = c->merge,
			      .above = c->above,
			      .dnssec = c->dnssec,
			      .ds_ttl = c->ds_ttl};
	memcpy(ask.zone, c->zone, dns_name_len(c->zone));
	return self.fd >= 0 && send(self.fd, &ask, sizeof(ask), MSG_NOSIGNAL) == sizeof(ask);
}
