/* Views: zones that only clients of some networks see (split horizon). */
#include "dnsd/dnsd.h"

#define N(field) offsetof(struct view_conf, names.field)

enum { NAME_MAX_LEN = 32 };

const struct conf_directive conf_view_table[] = {
    {.name = "clients",
     .type = CONF_NET,
     .offset = offsetof(struct view_conf, clients),
     .flags = CONF_MULTI | CONF_NEEDED,
     .help = "Networks whose clients see this view; several may stand in a line."},
    {.name = "zone",
     .type = CONF_BLOCK,
     .offset = offsetof(struct view_conf, zones),
     .flags = CONF_MULTI | CONF_ARGS | CONF_OPTBLK,
     .block = conf_zone_table,
     .block_size = sizeof(struct zone_conf),
     .arg = "name",
     .help = "A zone as this view shows it, from a file: zone example.org file "
	     "zones/example.org.inside"},
    {.name = "forward",
     .type = CONF_BLOCK,
     .offset = N(forwards),
     .flags = CONF_MULTI | CONF_ARGS,
     .block = conf_forward_table,
     .block_size = sizeof(struct forward_conf),
     .arg = "zone ...",
     .help = "For the clients of this view alone."},
    {.name = "stub",
     .type = CONF_BLOCK,
     .offset = N(stubs),
     .flags = CONF_MULTI | CONF_ARGS,
     .block = conf_stub_table,
     .block_size = sizeof(struct forward_conf),
     .arg = "zone ...",
     .help = "Likewise."},
    {.name = "local",
     .type = CONF_BLOCK,
     .offset = N(local),
     .block = conf_local_table,
     .block_size = sizeof(struct local_conf),
     .help = "Likewise; what it has not may be in the one of all."},
    {0}};

static bool name_ok(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return n > 0 && n <= NAME_MAX_LEN;
}

void conf_views_verify(struct conf_errors *e)
{
	for (size_t i = 0; i < conf.views.n; i++) {
		struct view_conf *v = conf.views.item[i];
		v->name = v->block.args.w[0];
	}
	for (size_t i = 0; i < conf.views.n; i++) {
		const struct view_conf *v = conf.views.item[i];
		const struct conf_where *at = &v->block.where;
		if (v->block.args.n != 1 || !name_ok(v->name))
			conf_error(e, at,
				   "view: needs one name of small letters, digits, - and _, %d "
				   "at most",
				   NAME_MAX_LEN);
		else if (conf_view(slice_of(v->name)) != i + 1)
			conf_error(e, at, "view %s: is there twice", v->name);
	}
}

unsigned conf_view_of(const struct sockaddr *client)
{
	for (size_t i = 0; i < conf.views.n; i++) {
		const struct view_conf *v = conf.views.item[i];
		if (conf_has(&v->clients, client))
			return (unsigned)i + 1;
	}
	return 0;
}

unsigned conf_view(struct slice name)
{
	for (size_t i = 0; i < conf.views.n; i++) {
		const struct view_conf *v = conf.views.item[i];
		if (slice_eqs(name, v->name))
			return (unsigned)i + 1;
	}
	return 0;
}

const char *conf_view_name(unsigned view)
{
	return view ? ((const struct view_conf *)conf.views.item[view - 1])->name : "";
}
