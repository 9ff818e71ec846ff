#include <stdlib.h>
#include <unistd.h>
#include "libcommon/net/daemon_int.h"

static bool usage(const struct daemon *d)
{
	fprintf(stderr,
		"usage: %s [-dLMnvV] [-f FILE] [-N INSTANCE]\n"
		"  -f FILE  configuration (%s)\n"
		"  -n       check it and exit; -nn prints what was understood\n"
		"  -d       stay in the foreground, log to stderr, bind the listeners\n"
		"  -L       print the listeners and exit\n"
		"  -M       print the directives as mdoc and exit\n"
		"  -N NAME  name of this instance\n"
		"  -v       log more\n"
		"  -V       print the version\n",
		d->name, d->conf_file);
	return false;
}

bool daemon_opts_read(int argc, char **argv, const struct daemon *d, struct daemon_opts *o)
{
	*o = (struct daemon_opts){.conf_file = d->conf_file, .instance = d->name};
	int c;
	optind = 1;
	while ((c = getopt(argc, argv, "f:nN:dLMvV")) != -1) {
		switch (c) {
		case 'f':
			o->conf_file = optarg;
			break;
		case 'n':
			o->check++;
			break;
		case 'N':
			o->instance = optarg;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'L':
			o->list = true;
			break;
		case 'M':
			o->mdoc = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			o->version = true;
			break;
		default:
			return usage(d);
		}
	}
	/* The name is part of a path (control socket) and of log lines. */
	if (optind < argc || !*o->instance || strchr(o->instance, '/'))
		return usage(d);
	o->log_here = o->debug || o->check || o->list || getenv("HAMLET_LOG_CHILD");
	return true;
}

void daemon_opts_list(FILE *f, const struct listen_spec *spec, size_t n, const struct sandbox *sb)
{
	for (size_t i = 0; i < n; i++)
		fprintf(f, "listen\t%s\t%s\t%s\t%s\n", spec[i].name,
			spec[i].addr.sa.ss_family == AF_UNIX ? "unix"
			: spec[i].udp                        ? "udp"
							     : "tcp",
			spec[i].addr.text, spec[i].owner ? spec[i].owner : "-");
	for (const struct sandbox_path *p = sb->paths; p && p->path; p++)
		fprintf(f, "path\t%s\t%s\t-\t-\n", p->write ? "rw" : "ro", p->path);
	for (const char *const *s = sb->sockets; s && *s; s++)
		fprintf(f, "socket\t-\t%s\t-\t-\n", *s);
}
