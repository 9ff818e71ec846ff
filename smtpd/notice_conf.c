/* `notices { }` of smtpd.conf. */
#include "libcommon/mail/addr.h"
#include "smtpd/notice.h"
#include "smtpd/smtpd.h"

#define F(field) offsetof(struct notice_conf, field)

const struct conf_directive notice_table[] = {
    {.name = "from",
     .type = CONF_STRING,
     .offset = F(from),
     .help = "Address that notices are from; mailer-daemon at the hostname unless given."},
    {.name = "full-size",
     .type = CONF_SIZE,
     .offset = F(full_size),
     .def = "50K",
     .min = 1024,
     .max = 10 << 20,
     .help = "A message up to this size goes back with the notice of its failure when its sender "
	     "asked for that (RET=FULL); of a larger one the header alone, as far as it is within "
	     "this size."},
    {0}};

static char mailer_daemon[320];

void notice_conf_check(struct conf_errors *e)
{
	struct notice_conf *c = &conf.notices;
	struct addr a;
	if (c->from && addr_mailbox(slice_of(c->from), 0, &a) != ADDR_OK)
		conf_error(e, &c->block.where, "from: \"%s\" is not an address", c->from);
	if (c->from)
		return;
	str_fmt(mailer_daemon, sizeof(mailer_daemon), "mailer-daemon@%s", conf.hostname);
	c->from = mailer_daemon;
}
