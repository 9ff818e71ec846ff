/* What tests of the stub begin with: two servers of common_dns_server.h, a stub that knows the
 * first, and the plainest script. */
#include "t/unit/common_dns_server.h"

static struct fake one, two;
static struct stub *stub;
static struct stub_conf conf;

static int setup(void **state)
{
	(void)state;
	fake_start(&one, NULL);
	fake_start(&two, NULL);
	conf = (struct stub_conf){.timeout_ms = 1000, .deadline_ms = 20000};
	conf_server(&conf, one.port);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stub_free(&stub);
	fake_stop(&one);
	fake_stop(&two);
	return 0;
}

static void start(void (*script)(struct seen *q, unsigned nth))
{
	one.script = script;
	stub = stub_new(&conf);
}

static void says_a(struct seen *q, unsigned nth)
{
	struct dns_out o;
	(void)nth;
	answer_begin(&o, q, 0);
	put_a(&o, q->name, 300, "192.0.2.1");
	answer_end(q, &o);
}
