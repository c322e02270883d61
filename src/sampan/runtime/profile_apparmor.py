"""AppArmor's profile of containers that ask for none, in the kernel's own form: made by scripts/apparmor out of packaging/apparmor.

The profile says what a container may not do to /proc, /sys, mounts, other processes and the kernel's cryptography, whatever its
other walls leave open. It is text there, and compiled here, because a host with AppArmor in its kernel need not have the tools.
"""

import base64
import zlib

NAME = "sampan-default"

_COMPILED = (
    "c-rll+fx)r6voe9V3E7x0*eqJf*=T9K@<^DA)*3`hyf9HxvZifl&CRJv68<cRY|2PcOUYUs#H>yN-UGgQ<6$0DWCmMlHcj+S%zg-&?0$})AddF"
    "^qlUQGxL4DeKwdS_h;@b%`V&)f2gWTf?2Y7XCXd2HzT2p0$Ga9FUD>+P0z$*_vY?OFjL}lvFl3`@(Z?n$O`7jV(jjX3FopuC_eH3gC+R|LoyXx"
    "TxvbU3@I*W1-HoJ!rbiC+tZU0;%>3nbUY@R<9T9j$M}N|s#1}>H$`qQ+>Ou8JkSe130jx9EL$)I{vWG+e1Ap#d@EejBk;ItUH1(<j<4|dj`K-R"
    "0{SLGT=Tw}QhmYnmD+ZxXI>qnbGx-`8JveW*IE$)J2;Qnw#aMNGt(SHDZkSOoA0GY6+CN~O|#}t`<=WmH(-^Uk@&vO^|xF_tEiL4sg?`CR<JE`"
    "H^-`N-2%Gp{61SJ+hNPvwgeMJj@WjQ9pgUJb`bXT9R<a9ObDC?5oJFp2fg<GXTW7p0Y)vCzXD2>i>hug3|Ncg8u%JafGGF|d<(t<--92(k6;L#"
    "2T#CH;AilQy^oIl75oN%2Y-M+!C&BS@YKdL?OEacN#99h%(3k)UV0~5J8blhy-r!SdWvg%Y`rg0@3$?tJ|ZXNq;2=`)_SF%;+$QUEBNiVKFck&"
    "tCR^7t$I4XZtb$h#^rlz;_yo@$R~;b&mQE<<q>5WU$dMqSYe)NKfGz-E=Q%4FVrQc<g5(P_QR{^7r!*gLGHP8jZ!T&iQ<l}@yyc+8{U8oXSnk@"
    "zH*E7(bvWLUMf{mD-E(&4oIsUg1yJ2LrP#>C9K*db&`!DvQb14Y%SWL5>7hbEsfHQVvfW3ZlWHL3-I`o48lt1&7I=SCBMZHxIadT!ttn#OH8I@"
    "5)O8H;`O#?HkZ#=)&eVZ8({U$1X(E9hjx9G5T%HEI|!rYJ!V~Lv8-!>ckO1K(0xkT8YLe_H{(~nMyXh%bi&+D!{RPedV%U!H5oDbY-EKvfO-$2"
    "-oxm58;UMLySjtQF>6uoe^_c+9~xLS+RUnP98GFD4Z2xrwDf^~^gLiRJ%FkQ(e)53>M(2SFuGKXfKk@oF_b)plE+wsqv$z`o}->$l}&raENeO0"
    "^5w0}vm{NPHJ=##(UW%!(zSyq+--XiHhUp4wR`^I$$O?xYj+;k^t#vAHLq_FZR-7!eYJ0;-)bNCx_j<oJBmuxzfpZUe=5KAoV#P!i%^R1_mY+o"
    "4L@|@p8HN@h>KKy>+$uDN%nP;g)B+ulk%R=N*<<r<_+m%{#1VJId{jd7oNOqJ}D>jdvc|qJrCI&$IZX9Y)+61@<F!E6~Z<bEAixKg*HbE*nBEt"
    "vj)wj%4`-<YV)N^n<E8nj->ajGP#A5)9nN`pcd@%JdfrYb)XS6gI2KHW*+S}pKAb3;26*~>8#D420$OseB*-6#|FVAn`60o*%gy-IQiQ+7y&Ub"
    "1}1IZ=H_ggLrvNIN_Vl>!3}WBzVA7(0N&L_5$HF354;aP&=n7S3_b;)fX~3^;7jlYc;v~~=IwqdV2|0JV}Q3G24$eow5veay!l$wqaIbfw=k_{"
    "`m(KOVWO`&(Gxa3tJ{IJt-%zn!o<krdUf&UZ;uQwl1qfLmAcqmEjIfsw<t%{Bb%esa;|14Mi$%A+V&fkE4%g@56uxHurp%v#A^FKy`>C}MR<FW"
    "#C#FkZdq{_^gNS$7BsWwu|IU4LVLEs_aeBSNz^&$BNrX%p0g6Ion~iQj84?^0NSXBvxWTj>|__Id%8XBeKq$C!1Z?c+Q}}j72o6RgClUhjbjJ<"
    ";Yd<RXJ<U^es<BiLmWUeJ!s?-``UBpM0bTFMn%_P`EbHNidH7j%BWR`Yi`DuYPbJl=Ik(4MYBdz%N93UbDsVt^^MIv**f#AM`o=Lz`;!TmIDWK"
    ";b$TG$VZ_Cu&)IE6~X!nm|6}$t5C;lu(KK#*23F5^iU5M8)0J;eB5U;G5w$7D9qFyUkJw4pvAqgQ)h2u_QUY?7_%3wDmr@yvmb}IT`>Bj$yK`H"
    "U=wQS<?Hsr!?Pw!IdAfme%R?`Dnlkq$zf*w&q4nsx<(xO&rb=*45G^?$^!d8Nv4@S%DHlMH+>am_BtZoN34}ZS5K4;M01d+hKNgJoFsxnaJrRf"
    "r%fa?@GlPQl$SRRLsQ!+PrKLTVkd~C+vJP=MA<_`111_F))8jEnD8GX(yJyLbAFjz8zsgG^V^hc(HCTeqtRRDSL^1AD>I4THr3voQQM}a&xig6"
    "kMXgJ"
)


def policy() -> bytes:
    """What /sys/kernel/security/apparmor/.replace takes, in one write."""
    return zlib.decompress(base64.b85decode("".join(_COMPILED)))
