/* Addresses of other servers, as directives name them. */
#include <arpa/inet.h>
#include "dnsd/dnsd.h"

bool conf_ip(const char *text, struct sockaddr_storage *sa, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;
	*sa = (struct sockaddr_storage){.ss_family = AF_INET};
	*len = sizeof(*v4);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		return true;
	sa->ss_family = AF_INET6;
	*len = sizeof(*v6);
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

void conf_ip_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

bool conf_port(const char *text, uint16_t *port)
{
	uint32_t n;
	if (!str_u32(slice_of(text), &n) || n == 0 || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return true;
}
