"""The large receivers by name, and the domains that their MX hosts are in. Data only.

A line of the classifier names its provider so that people and the diagnosis can; whom a line of the
administrator's own holds for is told by these domains, or by one that is written out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """`hosts`: domains of MX hosts; () for a program or a list, which answers from anywhere."""

    name: str
    title: str
    hosts: tuple[str, ...] = ()


_TABLE = (
    Provider("google", "Google", ("google.com", "googlemail.com")),
    Provider("microsoft", "Microsoft 365", ("mail.protection.outlook.com", "mx.microsoft")),
    Provider("outlook", "Outlook.com and Hotmail", ("olc.protection.outlook.com", "hotmail.com")),
    Provider("yahoo", "Yahoo and AOL", ("yahoodns.net", "yahoo.com", "aol.com")),
    Provider("apple", "Apple iCloud", ("icloud.com", "apple.com")),
    Provider("gmx", "GMX, web.de, mail.com and IONOS",
             ("gmx.net", "web.de", "mail.com", "kundenserver.de", "ionos.com", "perfora.net")),
    Provider("tonline", "T-Online", ("t-online.de",)),
    Provider("freenet", "freenet", ("freenet.de",)),
    Provider("comcast", "Comcast", ("comcast.net",)),
    Provider("att", "AT&T", ("att.net", "prodigy.net")),
    Provider("verizon", "Verizon", ("verizon.net", "vtext.com")),
    Provider("cox", "Cox", ("cox.net",)),
    Provider("charter", "Charter and Spectrum", ("charter.net", "rr.com", "spectrum.com")),
    Provider("bt", "BT", ("btinternet.com", "bt.com", "btopenworld.com")),
    Provider("virgin", "Virgin Media", ("virginmedia.com", "virgin.net")),
    Provider("talktalk", "TalkTalk", ("talktalk.net", "tiscali.co.uk")),
    Provider("telstra", "Telstra", ("bigpond.com", "telstra.com")),
    Provider("orange", "Orange", ("orange.fr", "wanadoo.fr")),
    Provider("sfr", "SFR", ("sfr.fr", "neuf.fr")),
    Provider("free", "Free", ("free.fr",)),
    Provider("laposte", "La Poste", ("laposte.net",)),
    Provider("ovh", "OVH", ("ovh.net", "ovh.com")),
    Provider("libero", "Libero", ("libero.it", "iol.it", "virgilio.it")),
    Provider("aruba", "Aruba", ("aruba.it",)),
    Provider("seznam", "Seznam", ("seznam.cz",)),
    Provider("wp", "WP and o2", ("wp.pl", "o2.pl")),
    Provider("onet", "Onet", ("onet.pl", "poczta.onet.pl")),
    Provider("interia", "Interia", ("interia.pl",)),
    Provider("mailru", "Mail.ru", ("mail.ru",)),
    Provider("yandex", "Yandex", ("yandex.ru", "yandex.net")),
    Provider("rambler", "Rambler", ("rambler.ru",)),
    Provider("qq", "QQ Mail", ("qq.com",)),
    Provider("netease", "NetEase (163, 126)", ("163.com", "126.com", "netease.com")),
    Provider("sina", "Sina", ("sina.com", "sina.com.cn")),
    Provider("naver", "Naver", ("naver.com",)),
    Provider("daum", "Daum and Kakao", ("daum.net", "hanmail.net", "kakao.com")),
    Provider("docomo", "NTT Docomo", ("docomo.ne.jp",)),
    Provider("zoho", "Zoho", ("zoho.com", "zoho.eu", "zohomail.com")),
    Provider("fastmail", "Fastmail", ("messagingengine.com", "fastmail.com")),
    Provider("proton", "Proton", ("protonmail.ch", "proton.me")),
    Provider("rackspace", "Rackspace", ("emailsrvr.com",)),
    Provider("godaddy", "GoDaddy", ("secureserver.net",)),
    Provider("amazon", "Amazon SES and WorkMail", ("amazonaws.com", "awsapps.com")),
    Provider("sendgrid", "SendGrid", ("sendgrid.net",)),
    Provider("mailgun", "Mailgun", ("mailgun.org",)),
    Provider("proofpoint", "Proofpoint", ("pphosted.com", "ppe-hosted.com", "ppops.net")),
    Provider("mimecast", "Mimecast", ("mimecast.com", "mimecast.co.za")),
    Provider("barracuda", "Barracuda", ("barracudanetworks.com", "ess.barracuda.com")),
    Provider("cisco", "Cisco Secure Email", ("iphmx.com",)),
    Provider("cloudmark", "Cloudmark"),
    Provider("trend", "Trend Micro", ("trendmicro.com", "trendmicro.eu")),
    Provider("sophos", "Sophos", ("hydra.sophos.com", "reflexion.net")),
    Provider("symantec", "Symantec and Broadcom", ("messagelabs.com", "symanteccloud.com")),
    Provider("fireeye", "Trellix and FireEye", ("fireeyecloud.com", "fireeyegov.com")),
    Provider("libraesva", "Libraesva", ("libraesva.com", "esvacloud.com")),
    Provider("fortinet", "Fortinet", ("fortimail.com", "fortimailcloud.com")),
    Provider("spamexperts", "SpamExperts and N-able", ("antispamcloud.com", "spamexperts.com")),
    Provider("mailchannels", "MailChannels", ("mailchannels.net",)),
    Provider("hornet", "Hornetsecurity", ("hornetsecurity.com", "antispameurope.com")),
    Provider("retarus", "Retarus", ("retarus.com", "retarus.de")),
    Provider("vade", "Vade", ("vadesecure.com",)),
    Provider("spamtitan", "SpamTitan", ("spamtitan.com",)),
    Provider("cpanel", "cPanel"),
    Provider("plesk", "Plesk"),
    Provider("postfix", "Postfix"),
    Provider("exim", "Exim"),
    Provider("sendmail", "Sendmail"),
    Provider("qmail", "qmail"),
    Provider("exchange", "Exchange server"),
    Provider("haraka", "Haraka"),
    Provider("dovecot", "Dovecot"),
    Provider("cyrus", "Cyrus"),
    Provider("rspamd", "Rspamd"),
    Provider("spamassassin", "SpamAssassin"),
    Provider("amavis", "Amavis"),
    Provider("policyd", "Policy servers"),
    Provider("powermta", "PowerMTA"),
    Provider("kumomta", "KumoMTA"),
    Provider("opensmtpd", "OpenSMTPD"),
    Provider("halon", "Halon"),
    Provider("stalwart", "Stalwart"),
    Provider("mailcow", "mailcow"),
    Provider("zimbra", "Zimbra"),
    Provider("domino", "Domino"),
    Provider("groupwise", "GroupWise"),
    Provider("kerio", "Kerio Connect"),
    Provider("mailenable", "MailEnable"),
    Provider("smartermail", "SmarterMail"),
    Provider("mdaemon", "MDaemon"),
    Provider("courier", "Courier"),
    Provider("coremail", "Coremail"),
    Provider("james", "Apache James"),
    Provider("oracle", "Oracle Communications"),
    Provider("openxchange", "Open-Xchange"),
    Provider("synacor", "Synacor and Vade CMSMTP"),
    Provider("bizsmtp", "Openwave bizsmtp"),
    Provider("lists", "Blocklists"),
)  # fmt: skip

PROVIDERS: dict[str, Provider] = {each.name: each for each in _TABLE}


def is_in(host: str, domains: tuple[str, ...]) -> bool:
    """Whether an MX host is in one of the domains; in none where it is not known."""
    name = host.lower().rstrip(".")
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)
