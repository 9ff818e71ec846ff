/* The same step for every service: first those that are not open yet are opened, all at once, so
 * that the sockets of stored and keyd are there before a jail wants them; then stage by stage
 * keyd, stored and the others are started or replaced. */
#include "hamletd/hamletd.h"

static struct {
	bool runs;
	enum batch_kind kind;
	unsigned stage;
	unsigned pending; /* operations under way, and one more while they are being begun */
	struct buf why;
	super_done *done;
	void *arg;
} batch;

static void next(void);

static void finish(void)
{
	super_done *done = batch.done;
	void *arg = batch.arg;
	struct buf why = batch.why;
	if (super_ending())
		buf_printf(&why, "hamletd is being shut down\n");
	batch.why = (struct buf){0};
	batch.runs = false;
	if (why.len)
		why.p[why.len - 1] = 0; /* the last line's end */
	if (done)
		done(arg, why.len ? why.p : NULL);
	buf_free(&why);
	super_batch_over();
}

static void one_less(void)
{
	if (--batch.pending == 0)
		next();
}

static void on_done(struct service *s, const char *why, void *arg)
{
	(void)arg;
	if (why)
		buf_printf(&batch.why, "%s: %s\n", s->conf->name, why);
	one_less();
}

static void step(struct service *s)
{
	batch.pending++;
	if (service_runs(s) && batch.kind != BATCH_BOOT) {
		service_replace(s, super_conf(), super_conf_daemon(s->conf->name),
				batch.kind == BATCH_RELOAD, on_done, NULL);
	} else if (s->opened) {
		service_start(s, on_done, NULL);
	} else {
		batch.pending--; /* could not be opened: said already */
	}
}

/* The next stage; those of a stage go on side by side. */
static void next(void)
{
	while (!super_ending() && batch.stage < STAGES) {
		unsigned stage = batch.stage++;
		batch.pending = 1;
		list_each_safe(it, nx, super_services())
		{
			struct service *s = list_entry(it, struct service, link);
			if (s->wanted && conf_stage(s->conf) == stage)
				step(s);
		}
		if (--batch.pending)
			return;
	}
	finish();
}

bool batch_start(enum batch_kind kind, super_done *done, void *arg)
{
	if (batch.runs)
		return false;
	batch.runs = true;
	batch.kind = kind;
	batch.stage = 0;
	batch.done = done;
	batch.arg = arg;
	batch.pending = 1;
	list_each_safe(it, nx, super_services())
	{
		struct service *s = list_entry(it, struct service, link);
		if (!s->wanted || s->opened || service_runs(s))
			continue;
		if (s->op.op == OP_NONE || !s->op.done)
			service_configure(s, super_conf(), super_conf_daemon(s->conf->name));
		batch.pending++;
		service_open(s, on_done, NULL);
	}
	one_less();
	return true;
}

bool batch_runs(void)
{
	return batch.runs;
}
