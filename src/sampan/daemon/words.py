"""The words that containers without a name are called by: a quality, and somebody who built, sailed, counted or found."""

_QUALITIES = (
    "able agile airy amber ample azure bold brave breezy bright brisk calm candid careful cheerful clear clever crisp"
    " curious daring deft eager early easy even fair fine firm fluent fond frank free fresh gentle glad golden good"
    " grand green handy happy hardy honest humble jolly keen kind lively loyal lucid lucky mellow merry mild modest"
    " neat nimble noble patient placid plain plucky polite prompt proud pure quick quiet rapid ready serene sharp"
    " silent silver simple sincere smart smooth snug sober solid sound spry stable stately steady stout sunny swift"
    " tender tidy trim true upbeat vivid warm wise witty zesty"
)
_PEOPLE = (
    "abel aldrin almeida amundsen anning babbage baffin balboa banneker bering blackwell bohr bose bougainville boyle"
    " cabot cartier cassini cauchy cavendish chang chu cook copernicus curie dias drake earhart eratosthenes euclid"
    " euler faraday fermat fleming fourier franklin frobisher galois gama gauss germain hadid heezen hensel herschel"
    " hertz hilbert hodgkin hooke hopper hubble hudson humboldt huygens hypatia kepler khayyam kovalevsky lamarr"
    " laplace leeuwenhoek leibniz lisianski lovelace lu magellan maury maxwell meitner mendel mercator moser nansen"
    " napier newton noether ohm pascal pasteur peary planck polo ptolemy pytheas qin ramanujan ride ritchie ross rossby"
    " sagan shackleton shannon shen slocum snell somerville su tasman tereshkova tesla tharp torvalds tupaia turing"
    " vespucci volta wang wegener wright wu xu yonath zeng zhang zheng zu"
)

ADJECTIVES = tuple(_QUALITIES.split())
SURNAMES = tuple(_PEOPLE.split())
