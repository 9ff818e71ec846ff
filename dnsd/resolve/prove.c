#include "dnsd/resolve/task.h"

enum proven prove_step(struct task *t, struct cached *c)
{
	put_cached(t->pool, &t->reply, t->name, t->type, 0, c);
	c->security = RRSET_INDETERMINATE;
	return PROVE_DONE;
}

void prove_end(struct task *t)
{
	(void)t;
}
